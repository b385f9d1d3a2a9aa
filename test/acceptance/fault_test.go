// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

const shortTimeout = `timeouts = { create = "30s", update = "30s" }`

// What only the cluster can refuse ends in an error that reports what a person would otherwise look up with kubectl.
func TestApply_FailingRollout_ShowsWhatThePodsReport(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		version, values string
		want            []string
	}{
		"an image that cannot be pulled": {"no-such-tag", quick, []string{"registry.company.com/data-collection:no-such-tag", "ErrImagePull"}},
		"a crash loop": {"v1.1.1", strings.TrimSuffix(quick, "}") + `, faults = { crashOnStart = true } }`,
			[]string{"CrashLoopBackOff", "exit code", "crash"}},
		"a pod that is never ready": {"v1.1.1",
			strings.TrimSuffix(quick, "}") + `, faults = { readinessDelay = "10m" }, probes = { startup = { failureThreshold = 600 } } }`,
			[]string{"not ready", "30s"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTenant(t)
			w := newWorkspace(t, map[string]string{"main.tf": c.stack(test.version, test.values, shortTimeout)})
			text := w.refused("apply", "-auto-approve", "-no-color", "-input=false")
			for _, part := range append(test.want, "Deployment/"+releaseName, c.client) {
				if !strings.Contains(text, part) {
					t.Errorf("the error does not say %q:\n%s", part, text)
				}
			}
			if got := w.attribute(app, "id"); got != nil {
				t.Errorf("a failed first install is in the state, so the next apply would destroy it: %v", got)
			}
			// The next apply takes over what is there.
			w.write("main.tf", c.stack("v1.1.1", quick, ""))
			w.apply()
			c.answersWith("v1.1.1")
			w.noChanges()
		})
	}
}

// An update that fails reports what is live: the state keeps the old version with the failed revision, and putting the old version
// back works.
func TestApply_FailingUpdate_StateShowsWhatIsLive(t *testing.T) {
	t.Parallel()
	c := newTenant(t)
	w := newWorkspace(t, map[string]string{"main.tf": c.stack("v1.1.1", quick, shortTimeout)})
	w.apply()
	w.write("main.tf", c.stack("no-such-tag", quick, shortTimeout))
	w.refused("apply", "-auto-approve", "-no-color", "-input=false")
	if version, status := w.attribute(app, "version"), w.attribute(app, "status"); version != "v1.1.1" || status != "failed" {
		t.Errorf("the state says version %v, status %v; want v1.1.1 and failed", version, status)
	}
	if text := w.plan(); !strings.Contains(text, "image v1.1.1 → no-such-tag") {
		t.Errorf("the next plan does not show the same difference again:\n%s", text)
	}
	w.write("main.tf", c.stack("v1.2.0", quick, shortTimeout))
	if text := unwrap(w.plan()); strings.Contains(text, "overwrite changes made in the cluster") {
		t.Errorf("the plan takes what the failed update wrote for a change by hand:\n%s", text)
	}
	w.write("main.tf", c.stack("v1.1.1", quick, shortTimeout))
	if text := w.plan(); !strings.Contains(text, "revision 2 is failed: it is repaired") {
		t.Errorf("going back to the old version does not plan to put the failed revision right:\n%s", text)
	}
	w.apply()
	c.answersWith("v1.1.1")
	w.noChanges()
}

// What the API server would refuse is refused in the plan, before anything is changed.
func TestPlan_RefusesWhatTheClusterWouldRefuse(t *testing.T) {
	t.Parallel()
	c := newTenant(t)
	w := newWorkspace(t, map[string]string{"main.tf": c.stack("v1.1.1", quick, "")})
	w.apply()
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "small"},
		Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{
			corev1.ResourceRequestsCPU: resource.MustParse("100m"), corev1.ResourceRequestsMemory: resource.MustParse("1Gi"),
		}},
	}
	if _, err := harness.Kubernetes(t).CoreV1().ResourceQuotas(c.namespace).Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	more := strings.TrimSuffix(quick, "}") + `, resources = { requests = { cpu = "400m" } } }`
	w.write("main.tf", c.stack("v1.1.1", more, ""))
	text := w.refused("plan", "-no-color", "-input=false")
	if !strings.Contains(text, "ResourceQuota small leaves 80m of requests.cpu") {
		t.Errorf("the plan does not say what the quota leaves:\n%s", text)
	}
	w.write("main.tf", c.stack("v1.1.1", quick, ""))
	w.noChanges()
}

// Bad input is an error in the plan that names what was found and what to do.
func TestPlan_RefusesBadInput(t *testing.T) {
	t.Parallel()
	c := newTenant(t)
	broken := filepath.Join(t.TempDir(), "broken")
	copyTree(t, harness.SampleChart(), broken)
	file := filepath.Join(broken, "templates", "configmap-extra.yaml")
	if err := os.WriteFile(file, []byte("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ required \"extra.name is needed\" "+
		".Values.config.EXTRA_NAME }}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		config string
		want   []string
	}{
		"a chart that is not there": {c.stackOf(filepath.Join(repository, "no-such-chart"), "v1.1.1", quick, ""), []string{"no-such-chart"}},
		"a value of the wrong type": {c.stack("v1.1.1", `{ replicaCount = "many" }`, ""), []string{"replicaCount", "integer"}},
		"a misspelled key": {
			c.stack("v1.1.1", `{ autoscaling = { maxReplica = 5 } }`, ""), []string{"autoscaling.maxReplica", "maxReplicas"},
		},
		"a template that fails": {
			c.stackOf(broken, "v1.1.1", quick, ""), []string{"templates/configmap-extra.yaml", "4", "extra.name is needed"},
		},
		"a context that does not exist": {
			strings.Replace(c.stack("v1.1.1", quick, ""), `context = "`+harness.Context(t)+`"`, `context = "no-such-context"`, 1),
			[]string{"no-such-context"},
		},
		"a version that is no tag": {c.stack("v1.1.1 final", quick, ""), []string{"version", "valid image tag"}},
	} {
		w := newWorkspace(t, map[string]string{"main.tf": test.config})
		text := w.refused("plan", "-no-color", "-input=false")
		for _, part := range test.want {
			if !strings.Contains(text, part) {
				t.Errorf("%s: the error does not say %q:\n%s", name, part, text)
			}
		}
	}
}
