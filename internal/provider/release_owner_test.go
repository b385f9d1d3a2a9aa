// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func secondRelease(chart string) string {
	return fmt.Sprintf(`
resource "slipway_release" "second" {
  environment = slipway_environment.this
  chart       = { path = %q }
  values      = { logLevel = "debug" }
}
`, chart)
}

// A second resource that took the name of the first one would overwrite it, and both would look healthy.
func TestRelease_TwoOfOneNameAreRefused(t *testing.T) {
	r := newTestRelease(t)
	r.run(resource.TestStep{
		Config:      r.config(`version = "v1.1.1"`) + secondRelease(r.chart),
		ExpectError: sameRun,
	})
}

// writeChart makes a chart with one ConfigMap of a fixed name, and takes it from then on.
func (r *testRelease) writeChart(name string) {
	r.t.Helper()
	r.chart = filepath.Join(r.t.TempDir(), "chart")
	for file, text := range map[string]string{
		"Chart.yaml":            "apiVersion: v2\nname: " + name + "\nversion: 0.1.0\n",
		"templates/config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fixed}\n",
	} {
		file = filepath.Join(r.chart, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
}

// A chart whose objects have fixed names can only have its new release after the old one is gone.
func TestRelease_RenamedReplacesObjectsWithFixedNames(t *testing.T) {
	r := newTestRelease(t)
	r.writeChart("fixed")
	r.run(
		resource.TestStep{Config: r.config(`name = "old"`)},
		resource.TestStep{
			Config:           r.config(`name = "new"`),
			ConfigPlanChecks: plans(plancheck.ExpectResourceAction(testReleaseAddress, plancheck.ResourceActionDestroyBeforeCreate)),
		},
		resource.TestStep{Config: r.config(`name = "new"`), ConfigPlanChecks: plans(plancheck.ExpectEmptyPlan())},
	)
}

func TestRelease_MadeByAnotherToolIsRefusedInThePlan(t *testing.T) {
	r := newTestRelease(t)
	only := `version = "v1.1.1"`
	r.run(
		resource.TestStep{Config: r.config(only)},
		resource.TestStep{
			PreConfig: func() {
				// What is left looks like the work of plain Helm: no record, and no labels of ours on the revision.
				ctx, client := t.Context(), testKubernetes(t)
				if err := client.CoreV1().ConfigMaps(r.namespace).Delete(ctx, "slipway-release-plain", metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
				list, err := client.CoreV1().Secrets(r.namespace).List(ctx, metav1.ListOptions{LabelSelector: "owner=helm"})
				if err != nil || len(list.Items) != 1 {
					t.Fatalf("%d revisions: %v", len(list.Items), err)
				}
				secret := list.Items[0]
				delete(secret.Labels, "slipway.dev/client")
				if _, err := client.CoreV1().Secrets(r.namespace).Update(ctx, &secret, metav1.UpdateOptions{}); err != nil {
					t.Fatal(err)
				}
			},
			Config:      r.config(only) + secondRelease(r.chart),
			PlanOnly:    true,
			ExpectError: regexp.MustCompile(`not\s+made\s+by\s+Slipway`),
		},
	)
}
