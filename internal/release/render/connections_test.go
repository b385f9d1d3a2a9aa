// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"strings"
	"testing"
)

// servedApp is a workload with ports, whose pods stop with a delay.
const servedApp = `
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  selector: {matchLabels: {app: x}}
  template:
    metadata: {labels: {app: x, tier: web}}
    spec:
      initContainers:
        - {name: job, image: b, ports: [{name: early, containerPort: 1}]}
        - {name: proxy, image: b, restartPolicy: Always, ports: [{name: admin, containerPort: 9901}]}
      containers:
        - {name: a, image: b, lifecycle: {preStop: {sleep: {seconds: 5}}},
           ports: [{name: http, containerPort: 8080}, {name: dns, containerPort: 53, protocol: UDP}]}
`

func serviceOf(spec string) string {
	return "\n---\napiVersion: v1\nkind: Service\nmetadata: {name: web, labels: {of: web}}\nspec: {" + spec + "}\n"
}

func TestReview_FindsPortsThatDoNotExist(t *testing.T) {
	const good = "selector: {app: x}, ports: [{name: http, port: 80, targetPort: http}]"
	const route = "\n---\napiVersion: %s\nkind: %s\nmetadata: {name: r}\nspec: %s\n"
	of := func(apiVersion, kind, spec string) string {
		return strings.NewReplacer("%s\nkind: %s", apiVersion+"\nkind: "+kind, "spec: %s", "spec: "+spec).Replace(route)
	}
	ingress := func(port string) string {
		return of(
			"networking.k8s.io/v1",
			"Ingress",
			"{rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {"+port+
				"}}}}]}}]}",
		)
	}
	gateway := func(ref string) string {
		return of("gateway.networking.k8s.io/v1", "HTTPRoute", "{rules: [{backendRefs: [{"+ref+"}]}]}")
	}
	istio := func(destination string) string {
		return of("networking.istio.io/v1", "VirtualService", "{hosts: [web], http: [{route: [{destination: {"+destination+"}}]}]}")
	}
	for name, tc := range map[string]struct {
		chart, rules string
		mentions     []string
	}{
		"a named port":                   {serviceOf(good), "", nil},
		"a wrong name":                   {serviceOf(strings.Replace(good, "targetPort: http", "targetPort: htpp", 1)), ruleNoTargetPort, []string{`"htpp"`, "http (80)", "http (8080)", "Set targetPort"}},
		"the port of another protocol":   {serviceOf("selector: {app: x}, ports: [{port: 53, targetPort: dns}]"), ruleNoTargetPort, []string{"TCP", "dns (53)"}},
		"UDP":                            {serviceOf("selector: {app: x}, ports: [{port: 53, protocol: UDP, targetPort: dns}]"), "", nil},
		"a port of a sidecar":            {serviceOf("selector: {app: x}, ports: [{port: 1, targetPort: admin}]"), "", nil},
		"a port of an init container":    {serviceOf("selector: {app: x}, ports: [{port: 1, targetPort: early}]"), ruleNoTargetPort, []string{`"early"`}},
		"a number that is not declared":  {serviceOf("selector: {app: x}, ports: [{port: 80, targetPort: 8081}]"), "", nil},
		"one of two":                     {serviceOf("selector: {app: x}, ports: [{name: a, port: 80, targetPort: http}, {name: b, port: 81, targetPort: b}]"), ruleNoTargetPort, []string{"b (81)"}},
		"no selector":                    {serviceOf("ports: [{port: 80, targetPort: htpp}]"), "", nil},
		"another name of the cluster":    {serviceOf("type: ExternalName, externalName: a.example, selector: {app: x}, ports: [{port: 80, targetPort: htpp}]"), "", nil},
		"an ingress by number":           {serviceOf(good) + ingress("number: 80"), "", nil},
		"an ingress by name":             {serviceOf(good) + ingress("name: http"), "", nil},
		"an ingress to the target port":  {serviceOf(good) + ingress("number: 8080"), ruleNoServicePort, []string{"port 8080 of Service/web", "http (80)"}},
		"an ingress to a wrong name":     {serviceOf(good) + ingress("name: web"), ruleNoServicePort, []string{"port web of Service/web"}},
		"an ingress to another release":  {ingress("number: 8080"), "", nil},
		"a route of the Gateway API":     {serviceOf(good) + gateway("name: web, port: 80"), "", nil},
		"its wrong port":                 {serviceOf(good) + gateway("name: web, port: 8080"), ruleNoServicePort, []string{"port 8080"}},
		"its other kind":                 {serviceOf(good) + gateway("name: web, port: 8080, kind: Pool, group: example.com"), "", nil},
		"its Service elsewhere":          {serviceOf(good) + gateway("name: web, port: 8080, namespace: other"), "", nil},
		"its Service named in full":      {serviceOf(good) + gateway("name: web, port: 8080, namespace: shop"), ruleNoServicePort, nil},
		"a VirtualService":               {serviceOf(good) + istio("host: web, port: {number: 80}"), "", nil},
		"its port left open":             {serviceOf(good) + istio("host: web"), "", nil},
		"its other port":                 {serviceOf(good) + istio("host: web.shop.svc.cluster.local, port: {number: 8080}"), ruleNoServicePort, []string{"VirtualService", "port 8080"}},
		"its host outside of the mesh":   {serviceOf(good) + istio("host: web.example.com, port: {number: 8080}"), "", nil},
		"its host in another namespace":  {serviceOf(good) + istio("host: web.other, port: {number: 8080}"), "", nil},
		"a selector that matches no pod": {serviceOf("selector: {app: y}, ports: [{port: 80, targetPort: htpp}]"), "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := mustRender(t, specWith(t, map[string]string{"templates/all.yaml": servedApp + tc.chart}), installOf("live"))
			var rules, texts []string
			for _, f := range Review(r) {
				rules, texts = append(rules, f.Rule), append(texts, string(f.Object)+": "+f.Text)
			}
			if got := strings.Join(rules, " "); got != tc.rules {
				t.Errorf("rules %q, want %q (%v)", got, tc.rules, texts)
			}
			for _, part := range tc.mentions {
				if !strings.Contains(strings.Join(texts, "\n"), part) {
					t.Errorf("%q is missing in %v", part, texts)
				}
			}
		})
	}
}

func TestFindUnmatched_NamesSelectorsThatMatchNothing(t *testing.T) {
	object := func(apiVersion, kind, spec string) string {
		return "\n---\napiVersion: " + apiVersion + "\nkind: " + kind + "\nmetadata: {name: o}\nspec: {" + spec + "}\n"
	}
	budget := func(selector string) string {
		return object("policy/v1", "PodDisruptionBudget", "maxUnavailable: 1, selector: "+selector)
	}
	monitor := func(spec string) string {
		return serviceOf("selector: {app: x}") + object("monitoring.coreos.com/v1", "ServiceMonitor", "endpoints: [{port: http}], "+spec)
	}
	scaler := func(kind, name string) string {
		return object("autoscaling/v2", "HorizontalPodAutoscaler", "maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: "+kind+", name: "+
			name+"}")
	}
	for name, tc := range map[string]struct {
		chart, text string
	}{
		"a Service":                          {servedApp + serviceOf("selector: {app: nobody}"), "Service/web: its selector app=nobody matches no rendered pod (rendered: Deployment/app with app=x,tier=web)"},
		"a Service with pods":                {servedApp + serviceOf("selector: {tier: web}"), ""},
		"a Service of one pod of a set":      {strings.ReplaceAll(servedApp, "Deployment", "StatefulSet") + serviceOf("selector: {app: x, statefulset.kubernetes.io/pod-name: app-0}"), ""},
		"a Service without a selector":       {servedApp + serviceOf("ports: [{port: 80}]"), ""},
		"a Service of a Job":                 {strings.ReplaceAll(servedApp, "apps/v1\nkind: Deployment", "batch/v1\nkind: Job") + serviceOf("selector: {app: x}"), ""},
		"a release without pods":             {serviceOf("selector: {app: nobody}") + budget("{matchLabels: {app: nobody}}"), ""},
		"next to an operator's object":       {servedApp + serviceOf("selector: {app: nobody}") + object("db.example.com/v1", "Postgres", "replicas: 1"), ""},
		"next to a monitor":                  {servedApp + serviceOf("selector: {app: nobody}") + object("monitoring.coreos.com/v1", "ServiceMonitor", "selector: {}"), "Service/web: its selector app=nobody"},
		"a budget":                           {servedApp + budget("{matchLabels: {app: nobody}}"), "PodDisruptionBudget/o: its selector app=nobody matches no rendered pod"},
		"a budget by expression":             {servedApp + budget("{matchExpressions: [{key: app, operator: NotIn, values: [x]}]}"), "PodDisruptionBudget/o: its selector app notin (x)"},
		"a budget with pods":                 {servedApp + budget("{matchExpressions: [{key: app, operator: Exists}]}"), ""},
		"a budget for all":                   {servedApp + budget("{}"), ""},
		"a policy":                           {servedApp + object("networking.k8s.io/v1", "NetworkPolicy", "podSelector: {matchLabels: {app: nobody}}"), "NetworkPolicy/o"},
		"a policy for all":                   {servedApp + object("networking.k8s.io/v1", "NetworkPolicy", "podSelector: {}"), ""},
		"a monitor":                          {servedApp + monitor("selector: {matchLabels: {of: nobody}}"), "ServiceMonitor/o: its selector of=nobody matches no rendered Service (rendered: Service/web with of=web)"},
		"a monitor with a Service":           {servedApp + monitor("selector: {matchLabels: {of: web}}"), ""},
		"a monitor of all namespaces":        {servedApp + monitor("selector: {matchLabels: {of: nobody}}, namespaceSelector: {any: true}"), ""},
		"a pod monitor":                      {servedApp + object("monitoring.coreos.com/v1", "PodMonitor", "selector: {matchLabels: {app: nobody}}"), "PodMonitor/o"},
		"an autoscaler":                      {servedApp + scaler("Deployment", "ap"), "HorizontalPodAutoscaler/o: it scales Deployment/ap, which is not rendered"},
		"an autoscaler with its workload":    {servedApp + scaler("Deployment", "app"), ""},
		"an autoscaler of an operator's set": {servedApp + scaler("Rollout", "app"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := mustRender(t, specWith(t, map[string]string{"templates/all.yaml": tc.chart}), installOf("live"))
			var texts []string
			for _, u := range FindUnmatched(r) {
				texts = append(texts, u.Object.Short()+": "+u.Text)
			}
			got := strings.Join(texts, "\n")
			if tc.text == "" && got != "" || !strings.HasPrefix(got, tc.text) || len(texts) > 1 {
				t.Errorf("found %q, want %q", got, tc.text)
			}
		})
	}
}
