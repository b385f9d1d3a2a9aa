// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

func TestApply_InstallsUpgradesAndLeavesAloneWhatIsTheSame(t *testing.T) {
	t.Parallel()
	b := newBench(t)

	first := b.mustApply(with(t, jobHook("seed", "post-install", "sleep", "100ms")))
	if first.Revision != 1 || first.Status != "deployed" || !first.Changed || len(first.Recovered) != 0 {
		t.Errorf("install: %+v", first)
	}
	seen := b.wantEnd(1, "deployed", record.Deployed)
	if r := seen.Record; r.InstanceID != b.id || r.NamespaceUID != first.NamespaceUID || r.Digest != first.Rendering.Digest ||
		r.Chart.Name != "app" || r.Finished.IsZero() {
		t.Errorf("the record is incomplete: %+v", r)
	}

	second := b.mustApply(with(t, jobHook("seed", "post-install", "sleep", "100ms"), config("debug")))
	if second.Revision != 2 || !second.Changed {
		t.Errorf("upgrade: %+v", second)
	}
	b.wantEnd(2, "deployed", record.Deployed)
	if got := b.liveLevel(); got != "debug" {
		t.Errorf("live level is %s", got)
	}

	third := b.mustApply(with(t, jobHook("seed", "post-install", "sleep", "100ms"), config("debug")))
	if third.Revision != 2 || third.Changed {
		t.Errorf("without a change there is a new revision: %+v", third)
	}
	b.wantEnd(2, "deployed", record.Deployed)

	d, err := b.client.AppsV1().Deployments(b.namespace()).Get(t.Context(), "app", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(d.ManagedFields, func(m metav1.ManagedFieldsEntry) bool { return m.Manager == environment.FieldManager }) {
		t.Errorf("no field belongs to %s: %v", environment.FieldManager, d.ManagedFields)
	}
}

func TestApply_RefusesWhatThePlanDidNotShow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	planned, err := render.Chart(t.Context(), with(t),
		render.Options{ReleaseName: "app", Namespace: b.namespace(), Install: true, Revision: 1, CapabilitiesMayChange: true,
			OperationMayChange: true})
	if err != nil {
		t.Fatal(err)
	}

	_, err = b.apply(t.Context(), with(t, config("debug")), func(o *ApplyOptions) { o.Planned = planned.Objects })
	wantText(t, asError[*PlanMismatchError](t, err).Error(), "v1/ConfigMap/app", "data.level", "info", "debug")
	_, err = b.apply(t.Context(), with(t), func(o *ApplyOptions) { o.PlannedChartDigest = "sha256:1234" })
	wantText(t, asError[*PlanMismatchError](t, err).Error(), "sha256:1234")
	seen, err := Observe(t.Context(), b.target)
	if err != nil {
		t.Fatal(err)
	}
	if !seen.Absent() {
		t.Fatalf("something was written: %+v", seen)
	}

	b.mustApply(with(t), func(o *ApplyOptions) {
		o.Planned = map[object.Key]string{}
		for k, v := range planned.Objects {
			o.Planned[k] = v
		}
		o.PlannedChartDigest = with(t).Chart.Digest
	})
}

func TestApply_RefusesAnotherClientsNamespaceAndCluster(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, err := b.apply(t.Context(), with(t), func(o *ApplyOptions) { o.ClusterUID = "another" })
	wantText(t, err.Error(), "another")
	b.target.Handle.Client = "client-b"
	_, err = b.apply(t.Context(), with(t))
	wantError[*environment.NamespaceForeignError](t, err)
}

func TestApply_WaitsForJobsAndHooks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	start := time.Now()
	b.mustApply(with(t, jobHook("seed", "pre-install,pre-upgrade", "sleep", "2s")))
	if d := time.Since(start); d < 2*time.Second {
		t.Errorf("the hook was not waited for: %s", d)
	}
}
