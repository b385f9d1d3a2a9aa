// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

var destinationRules = schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "destinationrules"}

// byHand makes an object as kubectl does.
func (c tenant) byHand(resource schema.GroupVersionResource, manifest string) {
	c.t.Helper()
	object := &unstructured.Unstructured{}
	text, err := yaml.YAMLToJSON([]byte(manifest))
	if err == nil {
		err = object.UnmarshalJSON(text)
	}
	if err == nil {
		_, err = c.routes(resource).Create(c.t.Context(), object, metav1.CreateOptions{FieldManager: "kubectl-create"})
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c tenant) find(resource schema.GroupVersionResource, name string) *unstructured.Unstructured {
	c.t.Helper()
	found, err := c.routes(resource).Get(c.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return found
}

// routesAre demands the content of a list of routes, names apart: they send no request anywhere.
func (c tenant) routesAre(resource schema.GroupVersionResource, name, list, want string) {
	c.t.Helper()
	var wanted []any
	if err := yaml.Unmarshal([]byte(want), &wanted); err != nil {
		c.t.Fatal(err)
	}
	text, err := json.Marshal(c.find(resource, name).Object["spec"])
	if err != nil {
		c.t.Fatal(err)
	}
	var spec map[string]any
	if err := json.Unmarshal(text, &spec); err != nil {
		c.t.Fatal(err)
	}
	got, _ := spec[list].([]any)
	for _, route := range got {
		if entry, ok := route.(map[string]any); ok {
			delete(entry, "name")
		}
	}
	if !reflect.DeepEqual(got, wanted) {
		c.t.Errorf("the routes of %s %s are\n%s\nwant\n%s", resource.Resource, name, text, want)
	}
}

// importedSplit is a slipway_canary for what was made by hand. Defaults are written out, which an import cannot know.
func importedSplit(resource, name, route, stable, canary string) string {
	return fmt.Sprintf(`
resource "slipway_canary" %q {
  environment = slipway_environment.this
  data_plane  = "proxyless"
  name        = %q
  weight      = 10
  %s
  stable {
    %s
  }
  canary {
    %s
  }
  depends_on = [slipway_release.stable, slipway_release.canary]
}
`, resource, name, route, stable, canary)
}

// Splits that a user made by hand, one in an object that becomes ours, one in a route of a shared object, one in an HTTPRoute:
// they are imported at the weights and headers that they have, and nothing moves when they are taken over.
func TestCanary_ImportsWhatWasDividedByHand(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	c := newTenant(t)
	w := newWorkspace(t, map[string]string{"main.tf": c.twoTracks("v1.2.0", "")})
	w.apply()
	c.trackServices()
	c.byHand(destinationRules, fmt.Sprintf(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: pods}
spec:
  host: %[1]s
  trafficPolicy: {loadBalancer: {simple: LEAST_REQUEST}}
  subsets:
  - {name: v1, labels: {%[2]s: stable}}
  - {name: v2, labels: {%[2]s: canary}}`, releaseName, trackLabel))
	split := fmt.Sprintf(`{destination: {host: %[1]s, subset: v1}, weight: 90}, {destination: {host: %[1]s, subset: v2}, weight: 10}`,
		releaseName)
	withHeader := fmt.Sprintf(`{match: [{headers: {canary: {exact: "true"}}}], timeout: 9s, route: [{destination: {host: %s, subset: v2}}]}`,
		releaseName)
	whole := fmt.Sprintf("- %s\n- {timeout: 9s, retries: {attempts: 2}, route: [%s]}",
		strings.Replace(withHeader, "timeout: 9s", "timeout: 9s, retries: {attempts: 2}", 1), split)
	c.byHand(virtualServices, fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: VirtualService\n"+
		"metadata: {name: whole, labels: {team: edge}}\nspec:\n  hosts: [collect.example.com, %s]\n  http:\n%s", releaseName, indent(whole)))
	other := fmt.Sprintf("- {match: [{uri: {prefix: /admin}}], rewrite: {uri: /}, route: [{destination: {host: %s, subset: v1}}]}",
		releaseName)
	shared := other + fmt.Sprintf("\n- {match: [{uri: {prefix: /in}}], route: [%s]}\n- {route: [{destination: {host: %s, subset: v1}}]}",
		split, releaseName)
	c.byHand(virtualServices,
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: edge}\nspec:\n  hosts: [edge.example.com]\n  http:\n"+
			indent(strings.NewReplacer("{match: [{uri: {prefix: /in}}]", "{name: intake, match: [{uri: {prefix: /in}}]", "\n- {route: [",
				"\n- {name: rest, route: [").Replace(shared)))
	backend := func(track string, weight int) string {
		return fmt.Sprintf(`{group: "", kind: Service, name: %s-%s-pods, port: 9090, weight: %d}`, releaseName, track, weight)
	}
	const all = "path: {type: PathPrefix, value: /}"
	rules := fmt.Sprintf("- {matches: [{%[1]s, headers: [{name: canary, type: Exact, value: \"true\"}]}], backendRefs: [%[2]s]}\n"+
		"- {matches: [{%[1]s}], backendRefs: [%[3]s, %[4]s]}",
		all, backend("canary", 1), backend("stable", 90), backend("canary", 10))
	c.byHand(httpRoutes, fmt.Sprintf("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: ruled}\nspec:\n"+
		"  parentRefs: [{group: \"\", kind: Service, name: %s, port: 8080}]\n  rules:\n%s", releaseName, indent(rules)))

	at := harness.Context(t) + "/" + c.namespace + "/"
	label := func(track string) string { return fmt.Sprintf("labels = { %q = %q }", trackLabel, track) }
	config := importedSplit("whole", "whole",
		"headers = { canary = \"true\" }\nistio {\n host = \""+releaseName+"\"\n virtual_service = \"whole\"\n"+
			" destination_rule = \"pods\"\n hosts = [\"collect.example.com\"]\n}",
		label("stable")+"\nsubset = \"v1\"", label("canary")+"\nsubset = \"v2\"") +
		importedSplit("edge", "edge-split",
			"istio {\n host = \""+releaseName+"."+c.namespace+".svc.cluster.local\"\n virtual_service = \"edge\"\n route = \"intake\"\n"+
				" destination_rule = \"pods\"\n}",
			label("stable")+"\nsubset = \"v1\"", label("canary")+"\nsubset = \"v2\"") +
		importedSplit("ruled", "ruled",
			"headers = { canary = \"true\" }\ngateway_api {\n parent {\n  kind = \"Service\"\n  name = \""+releaseName+"\"\n  namespace = \""+
				c.namespace+"\"\n  port = 8080\n }\n}",
			"service = \""+releaseName+"-stable-pods\"\nport = 9090", "service = \""+releaseName+"-canary-pods\"\nport = 9090")
	w.write("main.tf", c.twoTracks("v1.2.0", config))

	for id, want := range map[string]string{
		"whole":                                "nothing says which of them is the canary",
		"nothing":                              "nor a VirtualService or an HTTPRoute of this name",
		"edge-split":                           "name both in the import id",
		"whole?canary=v3&stable=v1":            "defines subset v3",
		"whole?color=v2":                       `"color" is none of the keys`,
		"x?virtual_service=edge":               "can only be shared",
		"x?virtual_service=gone&route=a":       "VirtualService gone does not exist",
		"x?virtual_service=edge&route=nothing": "Its named routes are intake, rest.",
		"x?virtual_service=edge&route=rest":    "nothing says which of them is the canary",
		"x?http_route=ruled&virtual_service=a": "names a VirtualService and an HTTPRoute",
	} {
		if text := w.refused("import", "-no-color", "-input=false", "slipway_canary.whole", at+id); !strings.Contains(text, want) {
			t.Errorf("the import of %s does not say %q:\n%s", id, want, text)
		}
	}
	neighbor := newTenant(t)
	v := newWorkspace(t, map[string]string{"main.tf": neighbor.twoTracks("v1.2.0", config)})
	if text := v.refused("import", "-no-color", "-input=false", "slipway_canary.whole", at+"whole?canary=v2"); !strings.Contains(text,
		c.client) || !strings.Contains(text, neighbor.client) {
		t.Errorf("the import from the workspace of another client is not refused as such:\n%s", text)
	}

	// An import block in a plan, and the command.
	w.write("import.tf",
		fmt.Sprintf("import {\n  to = slipway_canary.whole\n  id = %q\n}\nimport {\n  to = slipway_canary.edge\n  id = %q\n}\n",
			at+"whole?canary=v2", at+"edge-split?virtual_service=edge&route=intake&stable=v1&canary=v2"))
	w.must("import", "-no-color", "-input=false", "slipway_canary.ruled", at+"ruled?stable="+releaseName+"-stable-pods")
	text := w.plan()
	for _, want := range []string{
		"2 to import, 0 to add, 3 to change, 0 to destroy", "VirtualService whole is to be taken over",
		"route intake of VirtualService edge is to be taken over", "HTTPRoute ruled is to be taken over",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the plan does not say %q:\n%s", want, text)
		}
	}
	if labels := c.find(virtualServices, "whole").GetLabels(); len(labels) != 1 {
		t.Errorf("the plan wrote labels: %v", labels)
	}
	unmoved := func() {
		t.Helper()
		c.routesAre(virtualServices, "whole", "http", whole)
		c.routesAre(virtualServices, "edge", "http", shared)
		c.routesAre(httpRoutes, "ruled", "rules", rules)
	}
	w.apply()
	unmoved()
	w.noChanges()
	w.write("main.tf", c.twoTracks("v1.2.0", strings.Replace(config, `route = "intake"`, `route = "rest"`, 1)))
	if text := w.plan(); !strings.Contains(text, "slipway_canary.edge must be replaced") ||
		!strings.Contains(text, "1 to add, 0 to change, 1 to destroy") {
		t.Errorf("another route is no replacement:\n%s", text)
	}
	c.byHand(virtualServices, fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: picky}\n"+
		"spec:\n  hosts: [%[1]s]\n  http: [{name: a, match: [{headers: {canary: {regex: t.*}}}], route: [{destination: {host: %[1]s}}]}]",
		releaseName))
	w.write("main.tf",
		c.twoTracks("v1.2.0",
			config+importedSplit("picky", "picky",
				"headers = { canary = \"true\" }\nistio {\n host = \""+releaseName+"\"\n virtual_service = \"picky\"\n route = \"a\"\n}",
				label("stable"), label("canary"))))
	if text := w.refused("plan", "-no-color", "-input=false"); !strings.Contains(text, "matches the same header by another rule") {
		t.Errorf("the plan lets through a header that the route asks for in another way:\n%s", text)
	}
	w.write("main.tf", strings.Replace(c.twoTracks("v1.2.0", config), "headers = { canary = \"true\" }", "headers = { Canary = \"true\" }", 1))
	if text := w.refused("plan", "-no-color", "-input=false"); !strings.Contains(text, "write \"canary\"") ||
		!strings.Contains(text, "headers = { Canary") {
		t.Errorf("the plan does not point at the header in capitals:\n%s", text)
	}
	w.write("main.tf", c.twoTracks("v1.2.0", config))
	for resource, name := range map[string]string{"slipway_canary.whole": "whole", "slipway_canary.edge": "edge"} {
		if id, ok := w.attribute(resource, "id").(string); !ok ||
			!strings.Contains(c.find(virtualServices, name).GetAnnotations()["slipway.dev/splits"], id) {
			t.Errorf("VirtualService %s does not carry the id %s", name, id)
		}
	}
	if got := c.find(virtualServices, "whole").GetLabels(); got["slipway.dev/client"] != c.client || got["team"] != "edge" {
		t.Errorf("the labels are %v", got)
	}
	if rule := c.find(destinationRules, "pods"); len(rule.GetLabels())+len(rule.GetAnnotations()) > 0 {
		t.Errorf("the DestinationRule is annotated or labeled: %v", rule.Object["metadata"])
	}

	// From now on there is a record.
	before := w.attribute("slipway_canary.edge", "id")
	w.must("state", "rm", "slipway_canary.edge")
	w.write("import.tf", "")
	if text := w.refused("import", "-no-color", "-input=false", "slipway_canary.edge", at+"edge-split?route=intake"); !strings.Contains(text,
		"slipway-canary-edge-split, says where it is divided") {
		t.Errorf("the record and the import id may contradict each other:\n%s", text)
	}
	w.must("import", "-no-color", "-input=false", "slipway_canary.edge", at+"edge-split")
	if got := w.attribute("slipway_canary.edge", "id"); got != before {
		t.Errorf("the id is %v, want that of the record, %v", got, before)
	}
	w.apply() // data_plane is nowhere but in the configuration.
	w.noChanges()
	unmoved()

	// A split that is imported and never applied is only forgotten; one that is ours moves and goes.
	c.byHand(virtualServices, fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: later}\n"+
		"spec:\n  hosts: [%s]\n  http:\n%s", releaseName, indent("- {route: ["+split+"]}")))
	w.write("main.tf", c.twoTracks("v1.2.0", strings.ReplaceAll(config, "weight      = 10", "weight      = 0")+
		importedSplit("later", "later", "istio {\n host = \""+releaseName+"\"\n}", label("stable")+"\nsubset = \"v1\"",
			label("canary")+"\nsubset = \"v2\"")))
	w.must("import", "-no-color", "-input=false", "slipway_canary.later", at+"later?canary=v2")
	w.must("destroy", "-auto-approve", "-no-color", "-input=false", "-target=slipway_canary.later")
	c.routesAre(virtualServices, "later", "http", "- {route: ["+split+"]}")
	if labels := c.find(virtualServices, "later").GetLabels(); len(labels) > 0 {
		t.Errorf("it was labeled: %v", labels)
	}
	w.write("main.tf", c.twoTracks("v1.2.0", strings.ReplaceAll(config, "weight      = 10", "weight      = 0")))
	w.apply()
	stable := fmt.Sprintf("{destination: {host: %s, subset: v1}, weight: 100}", releaseName)
	c.routesAre(virtualServices, "edge", "http", strings.Replace(shared, split, stable, 1))
	w.write("main.tf", c.twoTracks("v1.2.0", ""))
	w.apply()
	c.routesAre(virtualServices, "edge", "http", strings.Replace(shared, split, strings.Replace(stable, ", weight: 100", "", 1), 1))
	if _, err := c.routes(virtualServices).Get(t.Context(), "whole", metav1.GetOptions{}); err == nil {
		t.Error("VirtualService whole is left")
	}
	c.find(destinationRules, "pods")
}

func indent(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }
