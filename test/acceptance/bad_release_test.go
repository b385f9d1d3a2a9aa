// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// guard is what a test watches a release by: the rules of production, with seconds in the place of minutes.
type guard struct {
	prometheus string // name of the Service
	duration   string // of the analysis
	validation string // how long the target of a rollback is validated
	extra      string // in the block analysis
	smoke      bool
	more       string // in the block of the release
}

// Durations of analyses.
const (
	// passes is that of a version that is good: it lasts the whole of it.
	passes = "10s"
	// untilRefused is that of a version that is bad: it ends with the sample that decides, which may come late on a slow machine.
	untilRefused = "5m"
)

func (c tenant) guard() guard {
	return guard{prometheus: c.prometheus(), duration: passes, validation: "5s"}
}

// hcl is what goes into the block of the release.
func (g guard) hcl() string {
	smoke := ""
	if g.smoke {
		smoke = `
  smoke_test {
    name    = "helm-test"
    timeout = "1m"
    helm_test {}
  }
`
	}
	return fmt.Sprintf(`
  analysis {
    duration = %q
    interval = "1s"
    %s

    health {
      pods {
        grace = "2s"
      }
    }

    prometheus {
      service {
        namespace = "monitoring"
        name      = %q
        port      = "9090"
      }
    }

    metric {
      name           = "error_rate"
      query          = "(sum(rate(http_requests_total{namespace='{{namespace}}',code=~'5..'}[3s])) or vector(0)) / sum(rate(http_requests_total{namespace='{{namespace}}'}[3s]))"
      above          = 0.05
      for            = "4s"
      requests_query = "sum(increase(http_requests_total{namespace='{{namespace}}'}[3s]))"
      min_requests   = 5
      error_budget   = "3s"
    }
  }
  %s
  rollback {
    validation = %q
  }
  %s
`, g.duration, g.extra, g.prometheus, smoke, g.validation, g.more)
}

// servedValues are those of a release with users: two pods, so that one can be replaced while the other answers, which it does
// until nobody sends it requests any more.
const servedValues = `{ autoscaling = { enabled = false }, replicaCount = 2, preStopSleepSeconds = 6, ` +
	`terminationGracePeriodSeconds = 20, test = { retry = "3s" } }`

func withValues(hcl string) string {
	return strings.TrimSuffix(servedValues, "}") + ", " + hcl + " }"
}

const applyArgs = "apply -auto-approve -no-color -input=false"

// A bad release, from the moment at which it is applied to the good one that follows: the strategy's rollback chapter.
func TestBadRelease_IsRolledBackAutomatically(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	for name, test := range map[string]struct {
		golden         string
		version        string
		values         string
		smoke          bool
		more           string
		want           []string
		stopsAnswering bool // the bad version itself leaves nobody to answer
	}{
		"it answers a fifth of the requests with 500": {
			golden: "bad-release-errors", version: "v1.2.1", values: servedValues,
			want: []string{"failed its analysis", "error_rate", "0.05", "v1.1.1 was restored"},
		},
		"it is fine until half-way": {
			golden: "bad-release-half-way", version: "v1.2.0", values: withValues(`faults = { errorShare = 0.5, errorAfter = "10s" }`),
			want: []string{"failed its analysis", "error_rate", "v1.1.1 was restored"},
		},
		"it stops being ready": {
			golden: "bad-release-not-ready", version: "v1.2.0",
			values: withValues(`faults = { failReadinessAfter = "7s" }, probes = { readiness = { periodSeconds = 1 } }`),
			want:   []string{"failed its analysis", "pods", "4", "v1.1.1 was restored"}, stopsAnswering: true,
		},
		"it never gets ready": {
			golden: "bad-release-never-ready", version: "v1.2.0",
			values: withValues(`faults = { readinessDelay = "1h" }, probes = { startup = { failureThreshold = 600 } }`),
			more:   `timeouts = { update = "20s" }`,
			want:   []string{"failed its rollout", "not ready", "v1.1.1 was restored"},
		},
		"its smoke test fails": {
			golden: "bad-release-smoke-test", version: "v1.2.0", values: withValues(`faults = { reportVersion = "v1.1.0" }`), smoke: true,
			want: []string{"failed its smoke test", `answered version "v1.1.0", expected "v1.2.0"`, "v1.1.1 was restored"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, g, w := served(t)
			g.smoke, g.more = test.smoke, test.more
			if test.more == "" {
				g.duration = untilRefused
			}

			w.write("main.tf", c.stack(test.version, test.values, g.hcl()))
			var text string
			seen := c.whileServed(reports(test.version, test.values), func() {
				r := w.run(strings.Fields(applyArgs)...)
				if r.code == 0 {
					t.Fatalf("the bad release was accepted:\n%s", r.text)
				}
				text = r.text
			})
			for _, part := range test.want {
				if !strings.Contains(unwrap(text), part) {
					t.Errorf("the error does not say %q:\n%s", part, text)
				}
			}
			golden(t, test.golden, timeless(c, errorsOf(text)))
			if test.stopsAnswering {
				t.Logf("FIGURE %s: %d requests had no answer while no pod of the bad version was ready", t.Name(),
					seen.after.Unserved-seen.before.Unserved)
			} else {
				seen.keptAnswering(t)
			}
			c.logRecovery(text, seen)

			c.answersWith("v1.1.1")
			if version, revision := w.attribute(app, "version"), w.attribute(app, "revision"); version != "v1.1.1" || fmt.Sprint(revision) != "3" {
				t.Errorf("the state says version %v, revision %v; want v1.1.1 in revision 3", version, revision)
			}
			if test.golden == "bad-release-errors" {
				c.held(w, test.version)
			}

			// The way out: a version that is repaired.
			g.duration = passes
			w.write("main.tf", c.stack("v1.2.0", servedValues, g.hcl()))
			better := c.whileServed("", func() { w.apply() })
			better.keptAnswering(t)
			c.answersWith("v1.2.0")
			w.noChanges()
			onlyNewestDeployed(t, c)
		})
	}
}

// served starts a release of v1.1.1 with users.
func served(t *testing.T) (tenant, guard, *workspace) {
	t.Helper()
	c := newTenant(t)
	g := c.guard()
	w := newWorkspace(t, map[string]string{"main.tf": c.stack("v1.1.1", servedValues, "")})
	w.apply()
	c.users(20)
	return c, g, w
}

// reports is the version that the pods of a release say they are.
func reports(version, values string) string {
	if strings.Contains(values, "reportVersion") {
		return "v1.1.0"
	}
	return version
}

// held demands that the next plan shows the same difference and that the version is held, and that an apply changes nothing.
func (c tenant) held(w *workspace, version string) {
	c.t.Helper()
	text := w.plan()
	for _, part := range []string{"v1.1.1 → " + version, "+ quarantined ", `+ "refused by the apply: ` + version, "is quarantined"} {
		if !strings.Contains(text, part) {
			c.t.Errorf("the next plan does not say %q:\n%s", part, text)
		}
	}
	before := c.helmStatuses(c.t.Context())
	refused := w.refused(strings.Fields(applyArgs)...)
	if !strings.Contains(refused, "is not deployed again") {
		c.t.Errorf("the next apply is not refused because of the quarantine:\n%s", refused)
	}
	if after := c.helmStatuses(c.t.Context()); len(after) != len(before) {
		c.t.Errorf("the refused apply made a revision: %v, then %v", before, after)
	}
	c.answersWith("v1.1.1")
}

var readyAfter = regexp.MustCompile(`all its pods were ready (\S+) after`)

// logRecovery logs how long it took to have the earlier version back: as the error says, and as the users saw it.
func (c tenant) logRecovery(text string, seen outage) {
	c.t.Helper()
	if said := readyAfter.FindStringSubmatch(unwrap(text)); said != nil {
		c.t.Logf("FIGURE %s: all pods of the restored version were ready %s after the failure was clear", c.t.Name(), said[1])
	} else {
		c.t.Errorf("the error does not say how long the recovery took:\n%s", text)
	}
	decided, found := lastSample(text)
	bad, answered := seen.after.Versions[seen.bad]
	// A version that is not ready answers nobody, so its last answer says nothing. The error shows whole seconds.
	if found && answered && bad.Last.After(decided) {
		c.t.Logf("FIGURE %s: the last request that %s answered was sent %.0f s after the sample that decided", c.t.Name(), seen.bad,
			bad.Last.Sub(decided).Seconds())
	}
}

// What is wrong may not be the version: then the rollback does not help, and says so.
func TestBadRelease_WhoseTargetIsUnhealthyTooIsLeftAndReported(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	c := newTenant(t)
	g := c.guard()
	g.duration, g.validation = untilRefused, untilRefused
	shared := withValues(`database = { existingSecret = "shared" }`)
	w := newWorkspace(t, map[string]string{"main.tf": environmentOnly(c.stack("v1.1.1", shared, ""))})
	w.apply()
	// What both versions need. All pods that start after it broke are unhealthy.
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "shared"}}
	if _, err := harness.Kubernetes(t).CoreV1().Secrets(c.namespace).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.write("main.tf", c.stack("v1.1.1", shared, ""))
	w.apply()
	c.users(20)
	c.shared("ERROR_SHARE", "0.3")

	w.write("main.tf", c.stack("v1.2.0", shared, g.hcl()))
	r := w.run(strings.Fields(applyArgs)...)
	if r.code == 0 {
		t.Fatalf("the bad release was accepted:\n%s", r.text)
	}
	for _, part := range []string{"failed its analysis", "is also unhealthy", "Nothing more is rolled back"} {
		if !strings.Contains(unwrap(r.text), part) {
			t.Errorf("the error does not say %q:\n%s", part, r.text)
		}
	}
	golden(t, "bad-release-target-unhealthy", timeless(c, errorsOf(r.text)))
	if got := len(c.helmStatuses(t.Context())); got != 3 {
		t.Errorf("there are %d revisions, want 3: one rollback and nothing more", got)
	}

	// The user who repaired it reports it.
	c.shared("ERROR_SHARE", "0")
	g.duration = passes
	g.more = `retry_token = "the database is well again"`
	w.write("main.tf", c.stack("v1.2.0", shared, g.hcl()))
	w.apply()
	c.answersWith("v1.2.0")
	w.noChanges()
}

// shared sets what all versions of the service are given from outside of the release.
func (c tenant) shared(key, value string) {
	c.t.Helper()
	patch := fmt.Appendf(nil, `{"stringData":{%q:%q}}`, key, value)
	if _, err := harness.Kubernetes(c.t).CoreV1().Secrets(c.namespace).Patch(c.t.Context(), "shared", types.MergePatchType, patch,
		metav1.PatchOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

// environmentOnly is a configuration without its release.
func environmentOnly(config string) string {
	return config[:strings.Index(config, `resource "slipway_release"`)]
}

// There is nothing to go back to yet.
func TestBadRelease_FirstInstallIsReportedAndTakenOver(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	c := newTenant(t)
	g := c.guard()
	g.duration = untilRefused
	w := newWorkspace(t, map[string]string{"main.tf": c.stack("v1.2.1", servedValues, g.hcl())})
	p := c.analyzing(w)
	c.users(20)
	r := p.wait()
	if r.code == 0 {
		t.Fatalf("the bad release was accepted:\n%s", r.text)
	}
	for _, part := range []string{"failed its analysis", "has no known-good revision"} {
		if !strings.Contains(unwrap(r.text), part) {
			t.Errorf("the error does not say %q:\n%s", part, r.text)
		}
	}
	golden(t, "bad-release-first-install", timeless(c, errorsOf(r.text)))

	g.duration = passes
	w.write("main.tf", c.stack("v1.2.0", servedValues, g.hcl()))
	w.apply()
	c.answersWith("v1.2.0")
	w.noChanges()
	onlyNewestDeployed(t, c)
}

// phase is that of the release's record, empty where there is none.
func (c tenant) phase(ctx context.Context) string {
	r, _ := c.record(ctx)
	return r.Phase
}
