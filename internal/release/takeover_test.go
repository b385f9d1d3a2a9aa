// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"fmt"
	"strings"
	"testing"

	helmrelease "helm.sh/helm/v3/pkg/release"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/dryrun"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// byKubectl makes the objects of a rendering as kubectl does, without Helm.
func (b *bench) byKubectl(spec Spec) {
	b.t.Helper()
	client, err := b.target.Cluster.Dynamic()
	if err != nil {
		b.t.Fatal(err)
	}
	mapper, err := b.target.Cluster.RESTMapper()
	if err != nil {
		b.t.Fatal(err)
	}
	for key, o := range rendered(b.t, spec, b.options(true, 1)).ByKey {
		if o.Hook {
			continue
		}
		mapping, err := mapper.RESTMapping(object.GVKOf(o.Object).GroupKind(), object.GVKOf(o.Object).Version)
		if err != nil {
			b.t.Fatal(err)
		}
		_, err = client.Resource(mapping.Resource).Namespace(b.namespace()).Create(b.t.Context(),
			&unstructured.Unstructured{Object: object.DeepCopy(o.Object)}, metav1.CreateOptions{FieldManager: "kubectl-create"})
		if err != nil {
			b.t.Fatalf("%s: %v", key, err)
		}
	}
}

func taking(from ...string) func(*ApplyOptions) {
	return func(o *ApplyOptions) { o.Taking = ownership.Taking{Allowed: true, From: from} }
}

// podUIDs are the pods that run.
func (b *bench) podUIDs() map[types.UID]bool {
	b.t.Helper()
	list, err := b.client.CoreV1().Pods(b.namespace()).List(b.t.Context(), metav1.ListOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	out := map[types.UID]bool{}
	for _, pod := range list.Items {
		if pod.DeletionTimestamp == nil {
			out[pod.UID] = true
		}
	}
	return out
}

func TestApply_TakesOverWhatRunsAndLeavesItsPodsAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.byKubectl(with(t))
	b.eventually("a pod", func() bool { return len(b.podUIDs()) > 0 })
	before := b.podUIDs()

	_, err := b.apply(t.Context(), with(t))
	wantError[*ownership.Error](t, err)
	next := rendered(t, with(t), b.options(true, 1))
	refused, err := dryrun.Run(t.Context(), b.target, nil, next, dryrun.Options{})
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, fmt.Sprint(refused.Refusals), "made by kubectl", "take_ownership = true")

	options := dryrun.Options{Taking: ownership.Taking{Allowed: true}}
	found, err := dryrun.Running(t.Context(), b.target, next, options.Taking)
	if err != nil || len(found) != len(next.Raw.Objects) {
		t.Errorf("%d of %d objects run, %v: %v", len(found), len(next.Raw.Objects), err, found)
	}
	result, err := dryrun.Run(t.Context(), b.target, nil, next, options)
	if err != nil || len(result.Refusals) != 0 || len(result.Takeovers) != len(found) {
		t.Fatalf("dry run: %+v, %v", result, err)
	}
	for _, taken := range result.Takeovers {
		if taken.Restarts || len(taken.Changes) != 0 || taken.Owner.Kind != ownership.OwnerKubectl {
			t.Errorf("nothing changes, and yet: %+v", taken)
		}
	}
	b.mustApply(with(t), taking())
	b.wantEnd(1, "deployed", record.Deployed)
	for uid := range b.podUIDs() {
		if !before[uid] {
			t.Errorf("pod %s was made again", uid)
		}
	}
}

func TestApply_TakesNothingOfAReleaseThatIsNotNamed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	other := specOfFiles(t, map[string]string{"templates/config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fixed}\n"})
	b.foreignInstall(other, "other")
	_, err := b.apply(t.Context(), other, taking())
	wantError[*ownership.Error](t, err)
	wantText(t, err.Error(), "belongs to the Helm release other", `take_ownership_from = ["other"]`)
	b.uid = ""
	b.mustApply(other, taking("other"))
	live, err := b.client.CoreV1().ConfigMaps(b.namespace()).Get(t.Context(), "fixed", metav1.GetOptions{})
	if err != nil || live.Annotations[ownership.AnnotationReleaseName] != "app" {
		t.Errorf("the object belongs to %v, %v", live.Annotations, err)
	}
}

// A release of Helm that runs is as good as one of Slipway: what fails after it is rolled back to it.
func TestApply_RollsBackToTheRevisionThatWasImported(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.foreignInstall(served(t), "app")
	b.eventually("the pods are ready", func() bool {
		seen, err := Observe(t.Context(), b.target)
		if err != nil {
			return false
		}
		good, err := Proven(t.Context(), b.target, seen)
		return err == nil && good != nil && good.Revision == 1
	})
	b.uid = mustUID(t, b) // as after an import
	outcome, err := b.apply(t.Context(), notReadyVersion(t), verified(asksReady()))
	b.wantRestored(outcome, err, verify.StageSmokeTest, 3, 1)
}

func TestProven_IsNothingThatIsNotReady(t *testing.T) {
	b := newBench(t)
	b.helmInstall(dryRunChart(t, nil)) // its image does not exist
	seen, err := Observe(t.Context(), b.target)
	if err != nil {
		t.Fatal(err)
	}
	if good, err := Proven(t.Context(), b.target, seen); err != nil || good != nil {
		t.Errorf("its pods do not run, and yet: %+v, %v", good, err)
	}
}

// What a failed upgrade has written is live. It is no change that another user made.
func TestDryRun_DoesNotBlameOthersForAFailedUpgrade(t *testing.T) {
	b := newBench(t)
	previous := b.deployed(dryRunChart(t, nil))
	b.helmUpgrade(dryRunChart(t, map[string]any{"image": "v2", "cpu": "200m"}))
	for number, status := range map[int]helmrelease.Status{1: helmrelease.StatusDeployed, 2: helmrelease.StatusFailed} {
		stored, err := b.storage().Get("app", number)
		if err != nil {
			t.Fatal(err)
		}
		stored.SetStatus(status, "")
		if err := b.storage().Update(stored); err != nil {
			t.Fatal(err)
		}
	}
	next := rendered(t, dryRunChart(t, map[string]any{"image": "v3", "cpu": "300m"}), b.options(false, 3))
	run := func() string {
		result, err := dryrun.Run(t.Context(), b.target, previous, next, dryrun.Options{Attempted: true})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(result.Overwrites)
	}
	if text := run(); text != "[]" {
		t.Errorf("only Slipway wrote, and yet: %s", text)
	}
	patch := []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"missing.invalid/app:byhand"}]}}}}`)
	if _, err := b.client.AppsV1().Deployments(b.namespace()).Patch(t.Context(), "app", types.StrategicMergePatchType, patch,
		metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if text := run(); !strings.Contains(text, "app:byhand") || strings.Contains(text, "200m") {
		t.Errorf("a change by hand is not shown alone: %s", text)
	}
}
