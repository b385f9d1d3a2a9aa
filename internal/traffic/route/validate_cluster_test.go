// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"encoding/json"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/traffictest"
)

// byIstio asks istiod, as its webhook does, whether it accepts a VirtualService that matches a header; the answer is its reason, empty
// where it does.
func (b *bench) byIstio(client kubernetes.Interface, pod string, header HeaderMatch) string {
	b.Helper()
	route := map[string]any{
		"match": []any{map[string]any{"headers": map[string]any{header.Name: map[string]any{"exact": header.Value}}}},
		"route": []any{map[string]any{"destination": map[string]any{"host": "app"}}},
	}
	review, err := json.Marshal(map[string]any{
		"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
		"request": map[string]any{
			"uid": "1", "operation": "CREATE", "name": "app", "namespace": b.owner.Handle.Namespace,
			"kind": map[string]any{"group": "networking.istio.io", "version": "v1", "kind": "VirtualService"},
			"object": map[string]any{
				"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
				"metadata": map[string]any{"name": "app", "namespace": b.owner.Handle.Namespace},
				"spec":     map[string]any{"hosts": []any{"app"}, "http": []any{route}},
			},
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	raw, err := client.CoreV1().RESTClient().Post().Namespace("istio-system").Resource("pods").Name(pod+
		":8080").SubResource("proxy").Suffix("validate").
		SetHeader("Content-Type", "application/json").Body(review).DoRaw(b.Context())
	if err != nil {
		b.Fatalf("%v: %s", err, raw)
	}
	var answer struct {
		Response *struct {
			Allowed bool           `json:"allowed"`
			Status  *metav1.Status `json:"status"`
		} `json:"response"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil || answer.Response == nil {
		b.Fatalf("%v: %s", err, raw)
	}
	if answer.Response.Allowed {
		return ""
	}
	if answer.Response.Status == nil || answer.Response.Status.Message == "" {
		return "refused"
	}
	return answer.Response.Status.Message
}

// byGateway asks the API server whether it accepts an HTTPRoute that matches a header.
func (b *bench) byGateway(header HeaderMatch) string {
	b.Helper()
	resource, found, err := b.resource(httpRoutes)
	if err != nil {
		b.Fatal(err)
	}
	object := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"parentRefs": []any{map[string]any{"group": "", "kind": "Service", "name": "app"}},
		"rules": []any{map[string]any{
			"matches":     []any{map[string]any{"headers": []any{map[string]any{"name": header.Name, "value": header.Value}}}},
			"backendRefs": []any{map[string]any{"name": "app", "port": int64(80)}},
		}},
	}}}
	object.SetAPIVersion(found.GroupVersionKind.GroupVersion().String())
	object.SetKind(httpRoutes.name)
	object.SetName("app")
	if _, err := resource.Create(b.Context(), object, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
		return err.Error()
	}
	return ""
}

// Whatever istiod or the Gateway API refuses is refused in the plan, and what the plan lets through is accepted by both.
func TestValidateHeaders_AgreesWithIstioAndTheGatewayAPI(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	client, err := b.cluster.Kubernetes()
	if err != nil {
		t.Fatal(err)
	}
	istiods, err := client.CoreV1().Pods("istio-system").List(t.Context(),
		metav1.ListOptions{LabelSelector: "app=istiod", FieldSelector: "status.phase=Running"})
	if err != nil {
		t.Fatal(err)
	}
	if len(istiods.Items) == 0 {
		t.Skip("the cluster has no istiod")
	}
	refusals := map[string]int{}
	names := []string{
		"canary", "x-canary", "x_y.z~1", "!#$%&'*+-.^_`|~09", strings.Repeat("a", 256),
		"", "x canary", "x:canary", "x/canary", "x(canary)", "x\"", "größe", "x\ty", "x\n", " canary", "canary ", "x,y",
		"@request.auth.claims.sub", ":custom",
		strings.Repeat("a", 257), "Canary", ":authority", ":path", "host",
	}
	values := []string{"true", "a b\tc", "ü", "{}\"", strings.Repeat("a", 4096), "", strings.Repeat("a", 4097), "a\nb", " a"}
	var all []HeaderMatch
	for _, name := range names {
		all = append(all, HeaderMatch{Name: name, Value: "true"})
	}
	for _, value := range values {
		all = append(all, HeaderMatch{Name: "canary", Value: value})
	}
	for _, header := range all {
		here := len(ValidateHeaders("headers", []HeaderMatch{header})) == 0
		for who, refused := range map[string]string{
			"Istio": b.byIstio(client, istiods.Items[0].Name, header), "the Gateway API": b.byGateway(header),
		} {
			if refused != "" {
				refusals[who]++
			}
			if refused != "" && here {
				t.Errorf("%s refuses %.60q: %.60q, and the plan lets it through: %s", who, header.Name, header.Value, refused)
			}
		}
	}
	t.Logf("of %d headers, refused: %v", len(all), refusals)
	if refusals["Istio"] == 0 || refusals["the Gateway API"] == 0 {
		t.Errorf("nothing was refused by one of them: %v", refusals)
	}
}

func TestCheckHeaders_SeesWhatTheRouteItselfAsksFor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Put(virtualServices.groupKind(), shared(t,
		"  - {name: primary, match: [{headers: {canary: {regex: \"t.*\"}, x-beta: {prefix: ye}}}], route: [{destination: {host: "+
			"data-collection}}]}"))
	config := istioConfig("primary")
	owner := Owner{Handle: b.owner.Handle, Name: "app"}
	traffictest.WantError[*HeaderClashError](t, CheckHeaders(t.Context(), b.planned(Config{Istio: &config}, owner), []HeaderMatch{onTrue}),
		"matches the same header by another rule")
	traffictest.WantError[*HeaderClashError](t,
		CheckHeaders(t.Context(), b.planned(Config{Istio: &config}, owner), []HeaderMatch{{Name: "x-beta", Value: "no"}}), "demand another value")
	for name, headers := range map[string][]HeaderMatch{
		"of a value that it asks for": {beta}, "of another name": {{Name: "x-other", Value: "1"}}, "none": nil,
	} {
		if err := CheckHeaders(t.Context(), b.planned(Config{Istio: &config}, owner), headers); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	config.VirtualService = "missing"
	if err := CheckHeaders(t.Context(), b.planned(Config{Istio: &config}, owner), []HeaderMatch{onTrue}); err != nil {
		t.Errorf("a route that does not exist: %v", err)
	}
}
