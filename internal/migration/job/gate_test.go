// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// The labels, names and keys are spelled out: clusters hold them.
func TestBlocked_ReadsWhatReleasesCouldBeRolledBackTo(t *testing.T) {
	t.Parallel()
	handle := environment.Handle{Client: "client-a", Stage: "prod", Namespace: "client-a-prod"}
	for name, test := range map[string]struct {
		record string
		gate   Gate
		want   []string
	}{
		"a version that works":  {record: `"schemaVersion":2,"knownGood":[{"version":"v2.0.0"}]`},
		"nothing is known-good": {record: `"schemaVersion":2`},
		"an old version": {
			`"schemaVersion":2,"knownGood":[{"version":"v1.0.0"}]`, Gate{},
			[]string{"what release app would be rolled back to is of version v1.0.0, before v2.0.0"},
		},
		"soaking": {
			`"schemaVersion":2,"knownGood":[{"version":"v2.0.0","at":"2026-01-01T00:00:00Z"}]`, Gate{Soak: time.Hour},
			[]string{"release app has to hold until 2026-01-01T01:00:00Z (soak)"},
		},
		"a newer schema": {
			`"schemaVersion":99,"good":[{"version":"v1.0.0"}]`, Gate{},
			[]string{"the record of release app was written by a newer version of Slipway"},
		},
		"a newer, other schema": {
			`"schemaVersion":99,"knownGood":"v1.0.0"`, Gate{},
			[]string{"the record of release app was written by a newer version of Slipway"},
		},
		"no record":               {`"knownGood":7`, Gate{}, []string{"the record of release app cannot be read"}},
		"of a release not looked": {`"schemaVersion":99`, Gate{Release: "other"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := fake.NewClientset(&corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Name: "slipway-release-app", Namespace: handle.Namespace, Labels: map[string]string{
					"slipway.dev/release": "app", "app.kubernetes.io/managed-by": "slipway",
				}},
				Data: map[string]string{"record": `{"client":"client-a","stage":"prod",` + test.record + `}`},
			})
			test.gate.SafeAfter = "v2.0.0"
			now := time.Date(2026, 1, 1, 0, 30, 0, 0, time.UTC)
			got, err := blockedBy(t.Context(), client, Target{Handle: handle, Name: "contract"}, test.gate, now)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
