// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// byHand changes an object of the release as a person does.
func (r testRelease) byHand(resource, patch string) func() {
	return func() {
		r.t.Helper()
		group := "/api/v1"
		if resource == "deployments" {
			group = "/apis/apps/v1"
		}
		err := testKubernetes(r.t).CoreV1().RESTClient().Patch(types.MergePatchType).AbsPath(group, "namespaces", r.namespace, resource, "plain").
			Param("fieldManager", "kubectl-edit").Body([]byte(patch)).Do(r.t.Context()).Error()
		if err != nil {
			r.t.Fatal(err)
		}
	}
}

func driftIs(want map[string]knownvalue.Check) statecheck.StateCheck {
	if want == nil {
		return statecheck.ExpectKnownValue(testReleaseAddress, tfjsonpath.New("drift"), knownvalue.Null())
	}
	return statecheck.ExpectKnownValue(testReleaseAddress, tfjsonpath.New("drift"), knownvalue.MapExact(want))
}

func TestRelease_DriftIsShownAndCorrectedWhereAskedFor(t *testing.T) {
	r := newTestRelease(t)
	const body = `
  sensitive_values = { database = { password = "canary-drift-1" } }
  `
	level := map[string]knownvalue.Check{"v1/ConfigMap/plain: data.LOG_LEVEL": knownvalue.StringExact(`"debug" → "info"`)}
	revision := func(n int64) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(testReleaseAddress, tfjsonpath.New("revision"), knownvalue.Int64Exact(n))
	}
	r.run(
		resource.TestStep{Config: r.config(body)},
		resource.TestStep{ // Not looked for, not seen.
			PreConfig:         r.byHand("configmaps", `{"data":{"LOG_LEVEL":"debug"}}`),
			Config:            r.config(body),
			ConfigPlanChecks:  plans(plancheck.ExpectEmptyPlan()),
			ConfigStateChecks: []statecheck.StateCheck{driftIs(nil)},
		},
		resource.TestStep{Config: r.config(body + "detect_drift = true")},
		resource.TestStep{ // Seen, and nothing planned.
			Config:            r.config(body + "detect_drift = true"),
			ConfigPlanChecks:  plans(plancheck.ExpectEmptyPlan()),
			ConfigStateChecks: []statecheck.StateCheck{driftIs(level), revision(1)},
		},
		resource.TestStep{ // Asked to put it back: an update that makes no revision.
			Config: r.config(body + "correct_drift = true"),
			ConfigPlanChecks: plans(
				plancheck.ExpectResourceAction(testReleaseAddress, plancheck.ResourceActionUpdate),
				plancheck.ExpectKnownValue(testReleaseAddress, tfjsonpath.New("drift"), knownvalue.Null()),
				says(`ConfigMap/plain: data.LOG_LEVEL "debug" → "info" is corrected`),
			),
			ConfigStateChecks: []statecheck.StateCheck{driftIs(nil), revision(1)},
		},
		resource.TestStep{ // Secrets and objects that are gone.
			PreConfig: func() {
				r.byHand("secrets", `{"data":{"password":"b3RoZXI="}}`)()
				if err := testKubernetes(t).AppsV1().Deployments(r.namespace).Delete(t.Context(), "plain", metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
			},
			Config: r.config(body + "correct_drift = true"),
			ConfigPlanChecks: plans(
				plancheck.ExpectResourceAction(testReleaseAddress, plancheck.ResourceActionUpdate),
				says("Secret/plain: data.password differs (sensitive value) is corrected", "Deployment/plain is gone: it is made again"),
			),
			ConfigStateChecks: []statecheck.StateCheck{driftIs(nil), revision(1)},
		},
		resource.TestStep{ // Ignored.
			PreConfig: r.byHand("deployments", `{"spec":{"replicas":1},"metadata":{"labels":{"team":"x"}}}`),
			Config: r.config(body + `
  correct_drift = true
  drift_ignore {
    kind  = "Deployment"
    paths = ["spec.replicas"]
  }`),
			ConfigStateChecks: []statecheck.StateCheck{driftIs(nil), revision(1)},
		},
		resource.TestStep{ // Of another owner: left alone, and nothing is planned for ever.
			PreConfig: r.byHand("services", `{"metadata":{"annotations":{"meta.helm.sh/release-name":"other"}}}`),
			Config: r.config(body + `
  correct_drift = true
  drift_ignore {
    kind  = "Deployment"
    paths = ["spec.replicas"]
  }`),
			ConfigPlanChecks: plans(plancheck.ExpectEmptyPlan()),
			ConfigStateChecks: []statecheck.StateCheck{driftIs(map[string]knownvalue.Check{
				"v1/Service/plain": knownvalue.StringExact("belongs to the Helm release other in namespace " + r.namespace + " now")})},
		},
	)
}

func TestRelease_DriftOfAChartThatRendersDifferentlyEachTimeIsCorrected(t *testing.T) {
	r := newTestRelease(t)
	const body = "values = { random = true }\n  correct_drift = true"
	r.run(
		resource.TestStep{Config: r.config(body)},
		resource.TestStep{
			PreConfig:        r.byHand("configmaps", `{"data":{"LOG_LEVEL":"debug"}}`),
			Config:           r.config(body),
			ConfigPlanChecks: plans(says("ConfigMap/plain: data.LOG_LEVEL")),
			ConfigStateChecks: []statecheck.StateCheck{
				driftIs(nil), statecheck.ExpectKnownValue(testReleaseAddress, tfjsonpath.New("revision"), knownvalue.Int64Exact(1)),
			},
		},
		resource.TestStep{ // Together with new content there is one rollout, and nothing is left.
			PreConfig: r.byHand("services", `{"spec":{"sessionAffinity":null,"selector":{"app":"wrong"}}}`),
			Config:    r.config("values = { random = true, logLevel = \"warn\" }\n  correct_drift = true"),
			ConfigStateChecks: []statecheck.StateCheck{
				driftIs(nil), statecheck.ExpectKnownValue(testReleaseAddress, tfjsonpath.New("revision"), knownvalue.Int64Exact(2)),
			},
		},
	)
}

func TestRelease_DriftIgnoreIsChecked(t *testing.T) {
	r := newTestRelease(t)
	for name, c := range map[string]struct{ block, want string }{
		"nothing":    {"drift_ignore {}", "ignores everything"},
		"bad path":   {`drift_ignore { paths = ["spec..replicas"] }`, "neither like spec.replicas"},
		"misspelled": {`drift_ignore { kinds = "Deployment" }`, "Unsupported argument"},
	} {
		t.Run(name, func(t *testing.T) {
			r := r
			r.t = t
			resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: testFactories, Steps: []resource.TestStep{
				{Config: r.config(c.block), PlanOnly: true, ExpectError: errorText(c.want)},
			}})
		})
	}
}

// TestRelease_ReadBudget counts at the API server: a plan without changes asks for each release twice, and with drift once more for
// each object.
func TestRelease_ReadBudget(t *testing.T) {
	r := newTestRelease(t)
	api := newTestAPI(t)
	config := func(body string) string {
		text := r.config(`sensitive_values = { database = { password = "canary-drift-1" } }` + "\n" + body)
		return api.provider(r.client+"-prod") + strings.Replace(text[strings.Index(text, "resource "):], fmt.Sprintf("%q", testContext(t)),
			`"proxied"`, 1)
	}
	var mu sync.Mutex
	var requests []string
	own := regexp.MustCompile("/namespaces/" + r.namespace + "/(secrets|configmaps|services|deployments)")
	api.watch = func(request string) {
		mu.Lock()
		defer mu.Unlock()
		if own.MatchString(request) {
			requests = append(requests, request)
		}
	}
	start := func() {
		mu.Lock()
		defer mu.Unlock()
		requests = nil
	}
	// cost is what one refresh has asked, by what every refresh asks once.
	cost := func(what string, want int) func() {
		return func() {
			mu.Lock()
			defer mu.Unlock()
			refreshes := 0
			for _, request := range requests {
				if strings.Contains(request, "secrets?labelSelector") {
					refreshes++
				}
			}
			if refreshes == 0 || len(requests) != want*refreshes {
				t.Errorf("%s: %d refreshes made %d requests, want %d for each:\n%s", what, refreshes, len(requests), want, strings.Join(requests, "\n"))
			}
			t.Logf("%s: %d refreshes, %d requests", what, refreshes, len(requests))
		}
	}
	const objects = 4
	const detect = "detect_drift = true"
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: testFactories, Steps: []resource.TestStep{
		{Config: config("")},
		{Config: config(""), PlanOnly: true, PreConfig: start},
		{Config: config(detect), PreConfig: cost("without drift", 2)},
		{Config: config(detect), PlanOnly: true, PreConfig: start},
		{Config: config(detect), PlanOnly: true, PreConfig: cost("with drift", objects+2)},
	}})
}

func TestRelease_ReplacedCRDsAreInThePlan(t *testing.T) {
	r := newTestRelease(t)
	group := r.client + ".crds.slipway.test"
	r.chart = t.TempDir()
	write := func(versions string) {
		t.Helper()
		for name, text := range map[string]string{
			"Chart.yaml":            "apiVersion: v2\nname: plain\nversion: 1.0.0\n",
			"templates/config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\ndata: {a: b}\n",
			"crds/widget.yaml": "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n" +
				"metadata: {name: widgets." + group + "}\nspec:\n  group: " + group +
				"\n  scope: Namespaced\n  names: {kind: Widget, plural: widgets, singular: widget}\n  versions:\n" + versions,
		} {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(r.chart, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(r.chart, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	version := func(name string, stored bool) string {
		return fmt.Sprintf("    - {name: %s, served: true, storage: %v, schema: {openAPIV3Schema: {type: object}}}\n", name, stored)
	}
	definition := func() *tfjsonpath.Path {
		p := tfjsonpath.New("custom_resource_definitions").AtMapKey("widgets." + group)
		return &p
	}
	t.Cleanup(func() {
		err := testKubernetes(t).CoreV1().RESTClient().Delete().
			AbsPath("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets." + group).Do(context.WithoutCancel(t.Context())).Error()
		if err != nil {
			t.Error(err)
		}
	})
	const body = `crds = "create_replace"`
	r.run(
		resource.TestStep{
			PreConfig:        func() { write(version("v1", true)) },
			Config:           r.config(body),
			ConfigPlanChecks: plans(says("CustomResourceDefinition/widgets." + group + ": created or replaced for the whole cluster, v1 (stored)")),
		},
		resource.TestStep{
			PreConfig: func() { write(version("v1", false) + version("v2", true)) },
			Config:    r.config(body),
			ConfigPlanChecks: plans(
				says("CustomResourceDefinition/widgets."+group+": replaced for the whole cluster, v1 (stored) → v1, v2 (stored)"),
				plancheck.ExpectKnownValue(testReleaseAddress, *definition(),
					knownvalue.StringRegexp(regexp.MustCompile(`^v1, v2 \(stored\); c1:sha256:`))),
			),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(testReleaseAddress, tfjsonpath.New("revision"), knownvalue.Int64Exact(1)),
			},
		},
		resource.TestStep{
			PreConfig:   func() { write(version("v2", true)) },
			Config:      r.config(body),
			ExpectError: errorText("stored in version v1"),
		},
	)
}
