// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package record_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
)

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

func TestSave_KeepsItsOwnAnnotationsWhenPeopleAnnotateMeanwhile(t *testing.T) {
	t.Parallel()
	place := record.Place{
		Handle: environment.Handle{Client: "client-a", Stage: "prod", Namespace: "client-a-prod"}, Kind: record.OfMigration, Name: "contract",
	}
	client := fake.NewClientset()
	live := func() *corev1.ConfigMap {
		object, err := client.Tracker().Get(configMaps, place.Handle.Namespace, "slipway-migration-contract")
		found, ok := object.(*corev1.ConfigMap)
		if err != nil || !ok {
			t.Fatalf("got %T, %v", object, err)
		}
		return found
	}
	// The fake client counts no versions of objects.
	client.PrependReactor("create", "configmaps", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if create, ok := action.(clienttesting.CreateAction); ok {
			if made, ok := create.GetObject().(*corev1.ConfigMap); ok {
				made.ResourceVersion = "1"
			}
		}
		return false, nil, nil
	})
	stored, err := record.Read[note](t.Context(), client, place)
	if err != nil {
		t.Fatal(err)
	}
	stored.MarkIrreversible(time.Unix(0, 0), "v2.0.0", "1.sql")
	if err := stored.Save(t.Context(), client, &note{Text: "first"}, "one"); err != nil {
		t.Fatal(err)
	}
	earlier := stored.IrreversibleAnnotations()
	if len(earlier) != 3 || live().Annotations[record.AnnotationIrreversibleSafeAfter] != "v2.0.0" {
		t.Fatalf("saved %v, %v", earlier, live().Annotations)
	}

	// Another user annotates the record between this run's read and its write.
	conflicts := 0
	client.PrependReactor("update", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
		if conflicts++; conflicts > 1 {
			return false, nil, nil
		}
		theirs := live().DeepCopy()
		theirs.Annotations["people/note"], theirs.ResourceVersion = "look here", "7"
		if err := client.Tracker().Update(configMaps, theirs, theirs.Namespace); err != nil {
			t.Error(err)
		}
		return true, nil, apierrors.NewConflict(configMaps.GroupResource(), theirs.Name, nil)
	})
	stored.MarkIrreversible(time.Unix(60, 0), "v3.0.0", "2.sql")
	if err := stored.Save(t.Context(), client, &note{Text: "second"}, "one"); err != nil {
		t.Fatal(err)
	}
	if got := live().Annotations; got[record.AnnotationIrreversibleSafeAfter] != "v3.0.0" || got["people/note"] != "look here" {
		t.Errorf("after a conflict: %v", got)
	}

	stored.RestoreIrreversible(earlier)
	if got := stored.Annotation(record.AnnotationIrreversibleReason); got != "1.sql" {
		t.Errorf("before the save that restores them: %q", got)
	}
	if err := stored.Save(t.Context(), client, &note{Text: "third"}, "one"); err != nil {
		t.Fatal(err)
	}
	stored.RestoreIrreversible(nil)
	if err := stored.Save(t.Context(), client, &note{Text: "fourth"}, "one"); err != nil {
		t.Fatal(err)
	}
	if got := live().Annotations; len(stored.IrreversibleAnnotations()) > 0 || got[record.AnnotationIrreversibleSince] != "" ||
		got["people/note"] == "" {
		t.Errorf("after they were taken off: %v", got)
	}
}
