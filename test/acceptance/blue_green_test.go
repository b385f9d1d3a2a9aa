// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

const (
	colors      = "slipway_blue_green.app"
	trackLabel  = "slipway.dev/track"
	previewName = releaseName + "-preview"
)

// color is a release of the sample chart that is one track.
type color struct {
	name, version string
	// values are those in addition to the ones that every track has, as HCL within an object.
	values string
}

// twoColors is the configuration of an environment with the colors and the switch between them. Blue has what both share.
func (c tenant) twoColors(active, extra string, tracks ...color) string {
	var out strings.Builder
	out.WriteString(c.head())
	var releases []string
	for _, track := range tracks {
		name, role := releaseName, "all"
		if track.name != "blue" {
			name, role = releaseName+"-"+track.name, "track"
		}
		fmt.Fprintf(&out, `
resource "slipway_release" %[1]q {
  environment = slipway_environment.this
  name        = %[2]q
  chart       = { path = %[3]q }
  version     = %[4]q
  values = {
    autoscaling = { enabled = false }, replicaCount = 2, preStopSleepSeconds = 2, terminationGracePeriodSeconds = 4
    slipway = { role = %[5]q, app = %[6]q, track = %[1]q } %[7]s
  }
  depends_on  = [%[8]s]
}
`, track.name, name, harness.SampleChart(), track.version, role, releaseName, track.values, strings.Join(releases, ", "))
		releases = append(releases, "slipway_release."+track.name)
	}
	fmt.Fprintf(&out, `
resource "slipway_blue_green" "app" {
  environment = slipway_environment.this
  service     = %q
  active      = %q
  %s
  depends_on  = [%s]
}
`, releaseName, active, extra, strings.Join(releases, ", "))
	return out.String()
}

// selected is the color in the selector of a Service, empty where it has none.
func (c tenant) selected(service string) string {
	c.t.Helper()
	found, err := harness.Kubernetes(c.t).CoreV1().Services(c.namespace).Get(c.t.Context(), service, metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return found.Spec.Selector[trackLabel]
}

// selectByHand sets the label of the color in the live Service's selector, to a JSON value.
func (c tenant) selectByHand(value string) {
	c.t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"selector":{%q:%s}}}`, trackLabel, value)
	if _, err := harness.Kubernetes(c.t).CoreV1().Services(c.namespace).Patch(c.t.Context(), releaseName, types.MergePatchType, patch,
		metav1.PatchOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

func (c tenant) wantSelected(service, want string) {
	c.t.Helper()
	if got := c.selected(service); got != want {
		c.t.Errorf("Service %s selects %q, want %q", service, got, want)
	}
}

// replicas is how many replicas a track's Deployment is to have.
func (c tenant) replicas(track string) int32 {
	c.t.Helper()
	d, err := harness.Kubernetes(c.t).AppsV1().Deployments(c.namespace).Get(c.t.Context(),
		releaseName+map[bool]string{false: "-" + track}[track == "blue"], metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return *d.Spec.Replicas
}

// switchRecord is the record of the switch, decoded.
func (c tenant) switchRecord(ctx context.Context) (map[string]any, *corev1.ConfigMap) {
	found, err := harness.Kubernetes(c.t).CoreV1().ConfigMaps(c.namespace).Get(ctx, "slipway-blue-green-"+releaseName, metav1.GetOptions{})
	if err != nil {
		return nil, nil
	}
	var record map[string]any
	if err := json.Unmarshal([]byte(found.Data["record"]), &record); err != nil {
		c.t.Fatal(err)
	}
	return record, found
}

// switchedLongAgo lets the time pass for which the previous color is kept.
func (c tenant) switchedLongAgo() {
	c.t.Helper()
	record, found := c.switchRecord(c.t.Context())
	record["switchedAt"] = time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	text, err := json.Marshal(record)
	if err != nil {
		c.t.Fatal(err)
	}
	found.Data["record"] = string(text)
	if _, err := harness.Kubernetes(c.t).CoreV1().ConfigMaps(c.namespace).Update(c.t.Context(), found, metav1.UpdateOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

// analyzed are analyses on the preview Service and on the live one, by HTTP.
const analyzed = `
  preview_analysis {
    duration = "3s"
    interval = "1s"
    health {
      consecutive_failures = 2
      http {
        name = "version"
        service {
          name = "` + previewName + `"
          port = "http"
          path = "/version"
        }
      }
    }
  }
` + analyzedAfter

const analyzedAfter = `
  analysis {
    duration = "4s"
    interval = "1s"
    health {
      consecutive_failures = 2
      pods {}
      http {
        name = "version"
        service {
          name = "` + releaseName + `"
          port = "http"
          path = "/version"
        }
      }
    }
  }
`

// The whole life of a switch under load: there, by hand, back, the previous color scaled down and up again, and gone.
func TestBlueGreen_SwitchesWithoutAFailedRequest(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	c := newTenant(t)
	blue, green := color{name: "blue", version: "v1.1.1"}, color{name: "green", version: "v1.2.0"}
	w := newWorkspace(t, map[string]string{"main.tf": c.twoColors("blue", analyzed, blue)})
	w.apply()
	c.wantSelected(releaseName, "blue")
	c.wantSelected(previewName, "green")
	c.users(50)

	w.write("main.tf", c.twoColors("green", analyzed, blue, green))
	if plan := w.plan(); !regexp.MustCompile(`~ active +(=) +"blue" -> "green"`).MatchString(plan) ||
		strings.Contains(plan, "must be replaced") {
		t.Errorf("the switch is no update of active:\n%s", plan)
	} else if !strings.Contains(plan, "switch Service "+releaseName+": blue → green") {
		t.Errorf("planned_steps does not list the switch:\n%s", plan)
	}
	seen := c.whileServed("", func() { w.apply() })
	seen.keptAnswering(t)
	c.answersWith("v1.2.0")
	c.wantSelected(releaseName, "green")
	c.wantSelected(previewName, "blue")
	w.noChanges()

	// By hand: drift, which is repaired.
	c.selectByHand(`"blue"`)
	if plan := w.plan("-out=saved.tfplan"); !regexp.MustCompile(`~ active +(=) +"blue" -> "green"`).MatchString(plan) {
		t.Errorf("the plan does not show the color that was set by hand:\n%s", plan)
	}
	c.selectByHand("null") // after the plan
	if text := w.refused("apply", "-no-color", "-input=false", "saved.tfplan"); !strings.Contains(text, "blue was live; now it is no color") {
		t.Errorf("the error does not say what was changed since the plan:\n%s", text)
	}
	c.wantSelected(releaseName, "")
	c.whileServed("", func() { w.apply() }).keptAnswering(t)
	c.wantSelected(releaseName, "green")

	// Back, and the previous color is not needed any more.
	w.write("main.tf", c.twoColors("blue", analyzed+"\n  keep_previous = \"30s\"", blue, green))
	c.whileServed("", func() { w.apply() }).keptAnswering(t)
	c.wantSelected(releaseName, "blue")
	if n := c.replicas("green"); n != 2 {
		t.Errorf("green has %d replicas right after the switch, want 2", n)
	}
	c.switchedLongAgo()
	if plan := w.plan(); !strings.Contains(plan, `- scale_down`) {
		t.Errorf("the plan does not say that green is scaled down:\n%s", plan)
	}
	c.whileServed("", func() { w.apply() }).keptAnswering(t)
	if n := c.replicas("green"); n != 0 {
		t.Errorf("green has %d replicas after its time, want 0", n)
	}
	w.noChanges()

	// A color at zero is brought up before it is switched to.
	w.write("main.tf", c.twoColors("green", analyzed+"\n  keep_previous = \"30s\"", blue, green))
	c.whileServed("", func() { w.apply() }).keptAnswering(t)
	c.wantSelected(releaseName, "green")
	if n := c.replicas("green"); n != 2 {
		t.Errorf("green has %d replicas, want the 2 from before", n)
	}

	// Imported, and destroyed: the Service selects what its chart says, which is the pods of both colors.
	w.must("state", "rm", colors)
	w.must("import", "-no-color", "-input=false", colors, harness.Context(t)+"/"+c.namespace+"/"+releaseName)
	if got := w.attribute(colors, "active"); got != "green" {
		t.Errorf("imported active = %v, want green", got)
	}
	c.whileServed("", func() { w.must("destroy", "-auto-approve", "-no-color", "-input=false", "-target="+colors) }).keptAnswering(t)
	c.wantSelected(releaseName, "")
	if _, err := harness.Kubernetes(t).CoreV1().Services(c.namespace).Get(t.Context(), previewName, metav1.GetOptions{}); err == nil {
		t.Error("the preview Service is left")
	}
	if record, _ := c.switchRecord(t.Context()); record != nil {
		t.Errorf("the record is left: %v", record)
	}
}

// A color that fails when it is live is switched back, and not switched to again until something changes.
func TestBlueGreen_SwitchesBackWhatFailsAndQuarantinesIt(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	c := newTenant(t)
	blue := color{name: "blue", version: "v1.1.1"}
	bad := color{name: "green", version: "v1.2.0", values: ", faults = { errorShare = 1 }"}
	w := newWorkspace(t, map[string]string{"main.tf": c.twoColors("blue", analyzedAfter, blue, bad)})
	w.apply()
	c.users(50)

	w.write("main.tf", c.twoColors("green", analyzedAfter, blue, bad))
	var text string
	c.whileServed("v1.2.0", func() { text = w.refused("apply", "-auto-approve", "-no-color", "-input=false") }).keptAnswering(t)
	for _, want := range []string{"was switched back: blue is live", "HTTP 500", "not switched to until"} {
		if !strings.Contains(text, want) {
			t.Errorf("the error does not say %q:\n%s", want, text)
		}
	}
	c.wantSelected(releaseName, "blue")
	c.answersWith("v1.1.1")
	if got := w.attribute(colors, "active"); got != "blue" {
		t.Errorf("the state says that %v is live, want blue", got)
	}

	c.whileServed("", func() { text = w.refused("apply", "-auto-approve", "-no-color", "-input=false") }).keptAnswering(t)
	if !strings.Contains(text, "is quarantined") {
		t.Errorf("the same pods were not quarantined:\n%s", text)
	}
	c.wantSelected(releaseName, "blue")

	// Other pods are another matter.
	good := color{name: "green", version: "v1.2.0"}
	w.write("main.tf", c.twoColors("green", analyzedAfter, blue, good))
	c.whileServed("", func() { w.apply() }).keptAnswering(t)
	c.wantSelected(releaseName, "green")
	w.noChanges()
}

// A color that fails on the preview Service never gets traffic.
func TestBlueGreen_DoesNotSwitchToWhatFailsBefore(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	c := newTenant(t)
	blue := color{name: "blue", version: "v1.1.1"}
	bad := color{name: "green", version: "v1.2.0", values: ", faults = { errorShare = 1 }"}
	w := newWorkspace(t, map[string]string{"main.tf": c.twoColors("blue", analyzed, blue)})
	w.apply()
	w.write("main.tf", c.twoColors("green", analyzed, blue, bad))
	text := w.refused("apply", "-auto-approve", "-no-color", "-input=false")
	if !strings.Contains(text, "failed before the switch") || !strings.Contains(text, "HTTP 500") {
		t.Errorf("the error does not say what failed:\n%s", text)
	}
	c.wantSelected(releaseName, "blue")

	// A user reports that it is repaired.
	w.write("main.tf", c.twoColors("green", analyzedAfter+"\n  retry_token = \"again\"", blue, color{name: "green", version: "v1.2.0"}))
	w.apply()
	c.wantSelected(releaseName, "green")

	// A color without any pod: nothing is switched, and the error says what is missing.
	deployments := harness.Kubernetes(t).AppsV1().Deployments(c.namespace)
	if _, err := deployments.Patch(t.Context(), releaseName, types.MergePatchType,
		[]byte(`{"spec":{"template":{"metadata":{"labels":{"slipway.dev/track":"none"}}}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "there is no blue pod", func(ctx context.Context) bool {
		list, err := harness.Kubernetes(t).CoreV1().Pods(c.namespace).List(ctx, metav1.ListOptions{LabelSelector: trackLabel + "=blue"})
		return err == nil && len(list.Items) == 0
	})
	w.write("main.tf", c.twoColors("blue", `timeouts = { update = "3s" }`, blue, color{name: "green", version: "v1.2.0"}))
	text = w.refused("apply", "-auto-approve", "-no-color", "-input=false")
	if !strings.Contains(text, "There is no pod with these labels") {
		t.Errorf("the error does not say that there are no pods:\n%s", text)
	}
	c.wantSelected(releaseName, "green")
}

// A killed provider leaves a switch at any step; the next apply resumes it.
func TestBlueGreen_ProviderKilled_IsFinishedByTheNextApply(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	phase := func(want string) func(context.Context, tenant) bool {
		return func(ctx context.Context, c tenant) bool {
			record, _ := c.switchRecord(ctx)
			return record != nil && record["phase"] == want
		}
	}
	long := strings.ReplaceAll(analyzedAfter, `"4s"`, `"10s"`)
	for _, s := range []struct {
		step
		green color
		// finished says that the next apply succeeds.
		finished bool
	}{
		{step{"green is analyzed with the traffic", phase("verifying")}, color{name: "green", version: "v1.2.0"}, true},
		{
			step{"green failed with the traffic", phase("verifying")},
			color{name: "green", version: "v1.2.0", values: ", faults = { errorShare = 1 }"}, false,
		},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := newTenant(t)
			blue := color{name: "blue", version: "v1.1.1"}
			w := newWorkspace(t, map[string]string{"main.tf": c.twoColors("blue", long, blue, s.green)})
			w.apply()
			w.write("main.tf", c.twoColors("green", long, blue, s.green))
			killAt(t, w, c, s.step)
			if !s.finished {
				text := w.refused("apply", "-auto-approve", "-no-color", "-input=false")
				if !strings.Contains(text, "was switched back: blue is live") {
					t.Errorf("the next apply does not switch back:\n%s", text)
				}
				c.wantSelected(releaseName, "blue")
				return
			}
			if plan := w.plan(); !strings.Contains(plan, "the switch to green has no verdict yet") {
				t.Errorf("the plan does not say that the switch was not finished:\n%s", plan)
			}
			w.apply()
			c.wantSelected(releaseName, "green")
			w.noChanges()
		})
	}
}
