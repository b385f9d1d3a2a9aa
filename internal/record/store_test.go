// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package record_test

import (
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness/tenant"
)

// note is a record of a test.
type note struct {
	record.Header
	Text string `json:"text"`
}

var kinds = []record.Kind{record.OfRelease, record.OfCanary, record.OfBlueGreen, record.OfMigration}

func place(t *testing.T, kind record.Kind) record.Place {
	t.Helper()
	made := tenant.New(t, "record")
	return record.Place{Cluster: made.Cluster, Handle: made.Handle, Kind: kind, Name: "app"}
}

func read(t *testing.T, at record.Place) *record.Stored[note] {
	t.Helper()
	stored, err := record.Read[note](t.Context(), harness.Kubernetes(t), at)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func save(t *testing.T, stored *record.Stored[note], text, instance string, consumed ...string) {
	t.Helper()
	if err := stored.Save(t.Context(), harness.Kubernetes(t), &note{Text: text}, instance, consumed...); err != nil {
		t.Fatal(err)
	}
}

func patch(t *testing.T, at record.Place, merge string) {
	t.Helper()
	_, err := harness.Kubernetes(t).CoreV1().ConfigMaps(at.Handle.Namespace).Patch(
		t.Context(), at.Kind.Object(at.Name), types.MergePatchType, []byte(merge), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStored_IsReadAsItWasSaved(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		at := place(t, kind)
		stored := read(t, at)
		if stored.Exists() {
			t.Fatalf("%s: there is a record already", kind.Noun)
		}
		save(t, stored, "one", "id-1")
		save(t, stored, "two", "id-1")
		again := read(t, at)
		if !again.Exists() || again.Content.Text != "two" || again.InstanceID() != "id-1" || again.Content.SchemaVersion != kind.Schema ||
			again.Content.Client != at.Handle.Client || again.Content.Stage != at.Handle.Stage {
			t.Errorf("%s: got %+v", kind.Noun, again.Content)
		}
		all, failed, err := record.List[note](t.Context(), harness.Kubernetes(t), at)
		if err != nil || len(failed) != 0 || len(all) != 1 || all[0].Place.Name != "app" {
			t.Errorf("%s: listed %v, %v, %v", kind.Noun, all, failed, err)
		}
		if err := again.Remove(t.Context(), harness.Kubernetes(t)); err != nil || again.Exists() || read(t, at).Exists() {
			t.Errorf("%s: not removed: %v", kind.Noun, err)
		}
		if err := again.Remove(t.Context(), harness.Kubernetes(t)); err != nil {
			t.Errorf("%s: a record that is gone: %v", kind.Noun, err)
		}
	}
}

func TestStored_ANewerVersionIsRefusedWhereverItIsRead(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		at := place(t, kind)
		save(t, read(t, at), "new", "id-1")
		patch(t, at,
			`{"data":{"record":"{\"schemaVersion\":99,\"client\":\"`+at.Handle.Client+`\",\"stage\":\"`+at.Handle.Stage+`\",\"text\":{}}"}}`)
		_, err := record.Read[note](t.Context(), harness.Kubernetes(t), at)
		newer, ok := errors.AsType[*record.NewerError](err)
		if !ok || newer.SchemaVersion != 99 {
			t.Errorf("%s: read: %v", kind.Noun, err)
		}
		all, failed, err := record.List[note](t.Context(), harness.Kubernetes(t), at)
		if _, ok := errors.AsType[*record.NewerError](failed["app"]); !ok || err != nil || len(all) != 0 {
			t.Errorf("%s: listed %v, %v, %v", kind.Noun, all, failed, err)
		}
	}
}

func TestStored_ForeignConfigMapsAreRefused(t *testing.T) {
	t.Parallel()
	at := place(t, record.OfRelease)
	maps := harness.Kubernetes(t).CoreV1().ConfigMaps(at.Handle.Namespace)
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: at.Kind.Object(at.Name)}, Data: map[string]string{"record": "{}"}}
	if _, err := maps.Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, merge := range map[string]string{
		"no label":       `{}`,
		"no JSON":        `{"metadata":{"labels":{"app.kubernetes.io/managed-by":"slipway"}},"data":{"record":"x"}}`,
		"another client": `{"data":{"record":"{\"schemaVersion\":1,\"client\":\"client-x\",\"stage\":\"prod\"}"}}`,
	} {
		patch(t, at, `{"metadata":{"labels":{"app.kubernetes.io/managed-by":"slipway"}}}`)
		if name == "no label" {
			patch(t, at, `{"metadata":{"labels":{"app.kubernetes.io/managed-by":null}}}`)
		}
		patch(t, at, merge)
		_, err := record.Read[note](t.Context(), harness.Kubernetes(t), at)
		foreign, ok := errors.AsType[*record.ForeignError](err)
		if !ok || name == "another client" && foreign.Client != "client-x" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStored_AnnotationsOfPeopleSurviveAWriteThatDidNotSeeThem(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		at := place(t, kind)
		stored := read(t, at)
		save(t, stored, "one", "id-1")
		patch(t, at, `{"metadata":{"annotations":{"slipway.dev/abort":"stop","team":"blue"}}}`)
		save(t, stored, "two", "id-1")
		again := read(t, at)
		if again.Content.Text != "two" || again.Annotation("team") != "blue" || again.Annotation(record.AnnotationAbort) != "stop" {
			t.Errorf("%s: %+v", kind.Noun, again)
		}
		save(t, stored, "three", "id-1", record.AnnotationAbort)
		if again := read(t, at); again.Annotation(record.AnnotationAbort) != "" || again.Annotation("team") != "blue" {
			t.Errorf("%s: consumed: %+v", kind.Noun, again)
		}
	}
}

func TestStored_AWriteDoesNotOverwriteWhatAnotherRunWrote(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		at := place(t, kind)
		one, other := read(t, at), read(t, at)
		save(t, one, "one", "id-1")
		for _, text := range []string{"created meanwhile", "changed meanwhile"} {
			err := other.Save(t.Context(), harness.Kubernetes(t), &note{Text: text}, "id-2")
			if _, conflict := errors.AsType[*record.ConflictError](err); !conflict {
				t.Errorf("%s, %s: %v", kind.Noun, text, err)
			}
			other = read(t, at)
			save(t, one, "again", "id-1")
		}
		if got := read(t, at); got.Content.Text != "again" || got.InstanceID() != "id-1" {
			t.Errorf("%s: %+v", kind.Noun, got.Content)
		}
	}
}

func TestStored_OwnersAreCheckedAlikeForEachKind(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		at := place(t, kind)
		stored := read(t, at)
		if err := stored.Check(record.Claim{InstanceID: "id-2"}); err != nil {
			t.Errorf("%s: no record has no owner: %v", kind.Noun, err)
		}
		save(t, stored, "one", "id-1")
		made := func(id string) bool { return id == "id-1" }
		for name, test := range map[string]struct {
			claim   record.Claim
			refused bool
			sameRun bool
		}{
			"the owner":                          {record.Claim{InstanceID: "id-1"}, false, false},
			"another owner updates":              {record.Claim{InstanceID: "id-2", MadeInThisRun: made}, true, false},
			"a create takes over":                {record.Claim{InstanceID: "id-2", Create: true}, false, false},
			"two creates of one name in one run": {record.Claim{InstanceID: "id-2", Create: true, MadeInThisRun: made}, true, true},
		} {
			err := stored.Check(test.claim)
			owner, refused := errors.AsType[*record.OwnerError](err)
			if refused != test.refused || refused && owner.SameRun != test.sameRun {
				t.Errorf("%s, %s: %v", kind.Noun, name, err)
			}
		}
	}
}

func TestAborted_WithAndWithoutAText(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		at := place(t, kind)
		save(t, read(t, at), "one", "id-1")
		for annotation, want := range map[string]struct {
			reason  string
			aborted bool
		}{"null": {"", false}, `""`: {"no reason was given", true}, `"too slow"`: {"too slow", true}} {
			patch(t, at, `{"metadata":{"annotations":{"slipway.dev/abort":`+annotation+`}}}`)
			reason, aborted, err := record.Aborted(t.Context(), harness.Kubernetes(t), at)
			if err != nil || aborted != want.aborted || reason != want.reason {
				t.Errorf("%s, %s: got %q, %v, %v", kind.Noun, annotation, reason, aborted, err)
			}
		}
	}
}

func TestIrreversible_IsReadFromTheRecordsAnnotations(t *testing.T) {
	t.Parallel()
	at := place(t, record.OfMigration)
	stored := read(t, at)
	since := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	stored.MarkIrreversible(since, "v2.0.0", "0002_drop.sql")
	save(t, stored, "one", "id-1")
	found, err := record.ListIrreversible(t.Context(), harness.Kubernetes(t), at)
	want := record.Irreversible{Migration: "app", Since: "2026-03-01T12:00:00Z", SafeAfter: "v2.0.0", Reason: "0002_drop.sql"}
	if err != nil || len(found) != 1 || found[0] != want {
		t.Fatalf("got %+v, %v", found, err)
	}
}
