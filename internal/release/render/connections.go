// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

const (
	ruleNoTargetPort  = "no-such-target-port"
	ruleNoServicePort = "no-such-service-port"
)

// servicePort is one port of a rendered Service.
type servicePort struct {
	name, protocol string
	number         int64
	// target is the name of a container port; empty for a number, which a container may listen on without declaring it.
	target string
}

func (p servicePort) String() string {
	number := strconv.FormatInt(p.number, 10)
	if p.name == "" {
		return number
	}
	return p.name + " (" + number + ")"
}

func portsOf(service map[string]any) []servicePort {
	list, _, _ := unstructured.NestedSlice(service, "spec", "ports")
	var out []servicePort
	for _, item := range list {
		fields, _ := item.(map[string]any)
		p := servicePort{protocol: "TCP"}
		p.name, _ = fields["name"].(string)
		p.number = wholeNumber(fields["port"])
		p.target, _ = fields["targetPort"].(string)
		if protocol, _ := fields["protocol"].(string); protocol != "" {
			p.protocol = protocol
		}
		out = append(out, p)
	}
	return out
}

// wholeNumber is a number of a port, 0 where it is none.
func wholeNumber(v any) int64 {
	n, err := strconv.ParseInt(fmt.Sprint(v), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func portTexts[T fmt.Stringer](ports []T) string {
	texts := make([]string, len(ports))
	for i, p := range ports {
		texts[i] = p.String()
	}
	if len(texts) == 0 {
		return "none"
	}
	return strings.Join(texts, ", ")
}

// containerPort is one port that a container declares.
type containerPort struct {
	name, protocol string
	number         int64
}

func (p containerPort) String() string {
	return servicePort{name: p.name, number: p.number}.String()
}

// declaredPorts are those of the containers of a pod template. Of the init containers, only sidecars serve.
func declaredPorts(template map[string]any) []containerPort {
	containers := containersOf(template)
	inits, _, _ := unstructured.NestedSlice(template, "spec", "initContainers")
	for _, item := range inits {
		if c, ok := item.(map[string]any); ok && c["restartPolicy"] == "Always" {
			containers = append(containers, c)
		}
	}
	var out []containerPort
	for _, c := range containers {
		list, _, _ := unstructured.NestedSlice(c, "ports")
		for _, item := range list {
			fields, _ := item.(map[string]any)
			p := containerPort{protocol: "TCP"}
			p.name, _ = fields["name"].(string)
			p.number = wholeNumber(fields["containerPort"])
			if protocol, _ := fields["protocol"].(string); protocol != "" {
				p.protocol = protocol
			}
			out = append(out, p)
		}
	}
	return out
}

// templateLabels are the labels of the pods that a workload makes.
func templateLabels(template map[string]any) labels.Set {
	found, _, _ := unstructured.NestedMap(template, "metadata", "labels")
	out := labels.Set{}
	for key, value := range found {
		out[key], _ = value.(string)
	}
	return out
}

// serviceSelector is the selector of a Service, without labels that controllers set on pods. It
// is false where no label is left, where the Service has no pods, and where values are not shown.
func serviceSelector(service map[string]any) (labels.Selector, bool) {
	fields, _, _ := unstructured.NestedMap(service, "spec", "selector")
	kind, _, _ := unstructured.NestedString(service, "spec", "type")
	if len(fields) == 0 || kind == "ExternalName" {
		return nil, false
	}
	set := labels.Set{}
	for key, value := range fields {
		text, ok := value.(string)
		if !ok || masked(text) {
			return nil, false
		}
		if !object.IsGeneratedLabel(key) {
			set[key] = text
		}
	}
	return set.AsSelector(), len(set) > 0
}

func masked(text string) bool {
	return strings.Contains(text, object.MaskSecret) || strings.Contains(text, object.MaskRevision)
}

// reviewTargetPorts looks for a targetPort that no container of the selected pods has.
func reviewTargetPorts(service reviewed, all []reviewed) []Finding {
	selector, selects := serviceSelector(service.fields)
	if !selects {
		return nil
	}
	var declared []containerPort
	matches := 0
	for _, w := range all {
		template := object.PodTemplate(w.fields)
		if template == nil || w.namespace != service.namespace || !selector.Matches(templateLabels(template)) {
			continue
		}
		matches++
		declared = append(declared, declaredPorts(template)...)
	}
	if matches == 0 {
		return nil // see Unmatched
	}
	var out []Finding
	for _, p := range portsOf(service.fields) {
		if p.target == "" || masked(p.target) || slices.ContainsFunc(declared, func(d containerPort) bool {
			return d.name == p.target && d.protocol == p.protocol
		}) {
			continue
		}
		out = append(out, Finding{ruleNoTargetPort, service.key, fmt.Sprintf("targetPort %q of its port %s is the name of no container "+
			"port (%s) of the pods that it selects, which declare %s. The port gets no endpoint. Set targetPort to the name or the number of a "+
			"container port", p.target, p, p.protocol, portTexts(declared))})
	}
	return out
}

// backend is a Service that a route names.
type backend struct {
	namespace, service string
	// name or number say which port; neither where the route leaves it to the Service.
	name   string
	number int64
}

// reviewBackends looks for routes to a port that the Service of the same release does not have.
func reviewBackends(route reviewed, all []reviewed) []Finding {
	var out []Finding
	for _, b := range backendsOf(route) {
		if b.name == "" && b.number == 0 || masked(b.name) {
			continue
		}
		i := slices.IndexFunc(all, func(s reviewed) bool {
			return s.isCore("Service") && s.name == b.service && s.namespace == b.namespace
		})
		if i < 0 {
			continue
		}
		ports := portsOf(all[i].fields)
		if slices.ContainsFunc(ports, func(p servicePort) bool {
			return b.name != "" && p.name == b.name || b.number != 0 && p.number == b.number
		}) {
			continue
		}
		wanted := b.name
		if wanted == "" {
			wanted = strconv.FormatInt(b.number, 10)
		}
		f := Finding{ruleNoServicePort, route.key, fmt.Sprintf("it sends requests to port %s of %s, which has the ports %s. These requests "+
			"fail. Name a port of the Service", wanted, all[i].key.Short(), portTexts(ports))}
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}

// backendsOf are the Services that a route names: an Ingress, a route of the Gateway API, a VirtualService.
func backendsOf(route reviewed) []backend {
	group, _, _ := strings.Cut(route.apiVersion, "/")
	var out []backend
	switch {
	case group == "networking.k8s.io" && route.kind == "Ingress":
		eachMap(route.fields["spec"], "service", func(fields map[string]any) {
			b := backend{namespace: route.namespace}
			b.service, _ = fields["name"].(string)
			b.name, _, _ = unstructured.NestedString(fields, "port", "name")
			number, _, _ := unstructured.NestedFieldNoCopy(fields, "port", "number")
			b.number = wholeNumber(number)
			out = append(out, b)
		})
	case group == "gateway.networking.k8s.io":
		add := func(fields map[string]any) {
			kind, _ := fields["kind"].(string)
			other, _ := fields["group"].(string)
			if kind != "" && kind != "Service" || other != "" {
				return
			}
			b := backend{namespace: route.namespace}
			b.service, _ = fields["name"].(string)
			if namespace, _ := fields["namespace"].(string); namespace != "" {
				b.namespace = route.inKey(namespace)
			}
			b.number = wholeNumber(fields["port"])
			out = append(out, b)
		}
		eachMap(route.fields["spec"], "backendRefs", add)
		eachMap(route.fields["spec"], "backendRef", add)
	case group == "networking.istio.io" && route.kind == "VirtualService":
		add := func(fields map[string]any) {
			host, _ := fields["host"].(string)
			service, rest, _ := strings.Cut(host, ".")
			b := backend{namespace: route.namespace, service: service}
			namespace, domain, _ := strings.Cut(rest, ".")
			if domain != "" && domain != "svc" && !strings.HasPrefix(domain, "svc.") {
				return // a host outside of the cluster
			}
			if namespace != "" {
				b.namespace = route.inKey(namespace)
			}
			number, _, _ := unstructured.NestedFieldNoCopy(fields, "port", "number")
			b.number = wholeNumber(number)
			out = append(out, b)
		}
		eachMap(route.fields["spec"], "destination", add)
		eachMap(route.fields["spec"], "mirror", add)
	}
	return out
}

// eachMap visits the maps that a field of this name holds, at any depth, itself or in a list.
func eachMap(v any, field string, visit func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		for name, child := range v {
			if name == field {
				switch child := child.(type) {
				case map[string]any:
					visit(child)
				case []any:
					for _, item := range child {
						if fields, ok := item.(map[string]any); ok {
							visit(fields)
						}
					}
				}
			}
			eachMap(child, field, visit)
		}
	case []any:
		for _, child := range v {
			eachMap(child, field, visit)
		}
	}
}
