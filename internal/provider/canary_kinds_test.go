// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// apiGroups is where an API server lists its groups.
const apiGroups = "/apis"

var routeGroups = []string{"networking.istio.io", "gateway.networking.k8s.io"}

// hidesRoutes answers for the groups that route requests as an API server does that does not know them.
func hidesRoutes(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path == apiGroups {
		r.Header.Set("Accept", "application/json") // without the resources of the groups: they are asked for one by one
		return false
	}
	if !slices.ContainsFunc(routeGroups, func(group string) bool { return strings.HasPrefix(r.URL.Path, apiGroups+"/"+group) }) {
		return false
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusNotFound)
	_, _ = io.WriteString(w, "404 page not found\n")
	return true
}

// withoutRoutes takes the groups that route requests out of the list.
func withoutRoutes(response *http.Response) error {
	var list metav1.APIGroupList
	if err := json.NewDecoder(response.Body).Decode(&list); err != nil {
		return err
	}
	list.Groups = slices.DeleteFunc(list.Groups, func(group metav1.APIGroup) bool { return slices.Contains(routeGroups, group.Name) })
	body, err := json.Marshal(list)
	if err != nil {
		return err
	}
	response.Body = io.NopCloser(strings.NewReader(string(body)))
	response.ContentLength = int64(len(body))
	response.Header.Set("Content-Length", fmt.Sprint(len(body)))
	return nil
}

// atArgument matches an error that points at an argument.
func atArgument(verb, argument, text string) *regexp.Regexp {
	summary := errorText("Cannot " + verb + " canary split app").String()
	return regexp.MustCompile(`(?s)` + summary + `.*\d: +` + argument + `.*` + errorText(text).String())
}

// A cluster without the kinds that a split needs is reported in the plan, at an argument of the block that asks for them; also where
// they were there before, and in the apply where they have gone since the plan.
func TestCanary_AClusterWithoutItsKindsIsReportedAtItsArgument(t *testing.T) {
	t.Parallel()
	client, namespace := testClient(t)
	api := newTestAPI(t)
	var vanishing atomic.Bool // with the next Lease that is taken
	api.watch = func(request string) {
		if !strings.HasPrefix(request, http.MethodGet) && strings.Contains(request, "/leases") && vanishing.CompareAndSwap(true, false) {
			api.routeless.Store(true)
		}
	}
	if found, err := testKubernetes(t).Discovery().ServerResourcesForGroupVersion("networking.istio.io/v1"); err != nil ||
		len(found.APIResources) == 0 {
		t.Skipf("the cluster has no Istio: %v", err)
	}
	head := api.provider(client+"-prod") + environmentBlock(client, "proxied", fmt.Sprintf("{ name = %q }", namespace), unprotected)
	split := func(more string) string {
		return head + fmt.Sprintf(`
resource "slipway_canary" "app" {
  environment = slipway_environment.this
  name        = "app"
  weight      = 0
  %s
}
`, more)
	}
	const byLabels = "istio {\n host = \"app\"\n}\nstable {\n labels = { role = \"stable\" }\n}\ncanary {\n" +
		" labels = { role = \"canary\" }\n}\n"
	const byService = "gateway_api {\n parent {\n kind = \"Service\"\n name = \"app\"\n }\n}\nstable {\n service = \"app\"\n" +
		" port = 80\n}\ncanary {\n service = \"other\"\n port = 80\n}\n"
	const retried = byLabels + "retry_token = \"again\"\n"
	hide := func(hidden bool) func() { return func() { api.routeless.Store(hidden) } }
	noIstio := "The cluster has no VirtualService. It serves none of VirtualService in networking.istio.io/v1, " +
		"networking.istio.io/v1beta1. Install Istio"
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: testFactories, Steps: []resource.TestStep{
		{Config: head},
		{
			PreConfig: func() {
				servedPod(t, namespace, map[string]string{"app": "app", "role": "stable"}, "app")
				api.routeless.Store(true)
			},
			Config: split(byLabels), ExpectError: atArgument("plan", `host = "app"`, noIstio),
		},
		{Config: split(byService), ExpectError: atArgument("plan", `kind = "Service"`, "The cluster has no HTTPRoute.")},
		{PreConfig: hide(false), Config: split(byLabels)},
		{PreConfig: hide(true), Config: split(byLabels), PlanOnly: true, ExpectError: atArgument("plan", `host = "app"`, noIstio)},
		{
			PreConfig: func() { api.routeless.Store(false); vanishing.Store(true) },
			Config:    split(retried), ExpectError: atArgument("apply", `host = "app"`, noIstio),
		},
		{
			PreConfig: hide(false),
			Config:    split(retried),
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(splitAddress, plancheck.ResourceActionUpdate)},
			},
		},
		{Config: head},
		{
			PreConfig: func() { // what is left keeps the environment
				if err := testKubernetes(t).CoreV1().Pods(namespace).Delete(t.Context(), "app",
					metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}); err != nil {
					t.Fatal(err)
				}
			},
			Config: head, PlanOnly: true,
		},
	}})
}
