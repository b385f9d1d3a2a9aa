// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"strings"
	"testing"
)

const (
	reviewService = "\n---\napiVersion: v1\nkind: Service\nmetadata: {name: app}\nspec: {selector: {app: x}, ports: [{port: 80}]}\n"
	reviewConfigs = "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: b}\n---\napiVersion: v1\nkind: Secret\n" +
		"metadata: {name: keys}\nstringData: {a: b}\n"
	reviewHPA = "\n---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: app}\n" +
		"spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: app}}\n"
)

func deploymentOf(replicas, annotations, container, podSpec string) string {
	return "\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app}\nspec:\n  " + replicas +
		"\n  selector: {matchLabels: {app: x}}\n  template:\n" +
		"    metadata: {labels: {app: x}, annotations: {" + annotations + "}}\n    spec:\n      " + podSpec +
		"\n      containers: [{name: a, image: b" + container + "}]\n"
}

func TestReview_FindsWhatMakesRolloutsLoseRequests(t *testing.T) {
	const delay = `, lifecycle: {preStop: {sleep: {seconds: 5}}}`
	const env = `, envFrom: [{configMapRef: {name: settings}}, {secretRef: {name: keys}}]`
	const volumes = `volumes: [{name: v, projected: {sources: [{secret: {name: keys}}]}}]`
	cases := []struct {
		name, chart string
		rules       string
		mentions    string
	}{
		{"no delay behind a Service", deploymentOf("", "", "", "") + reviewService, ruleNoPreStopDelay, "Service/app"},
		{"delay", deploymentOf("", "", delay, "") + reviewService, "", ""},
		{"no Service", deploymentOf("", "", "", ""), "", ""},
		{"another Service", deploymentOf("", "", "", "") + strings.Replace(reviewService, "{app: x}", "{app: y}", 1), "", ""},
		{"replicas next to an autoscaler", deploymentOf("replicas: 2", "", delay, "") +
			reviewHPA, ruleReplicasAndHPA, "HorizontalPodAutoscaler/app"},
		{"autoscaler alone", deploymentOf("", "", delay, "") + reviewHPA, "", ""},
		{"replicas alone", deploymentOf("replicas: 2", "", delay, ""), "", ""},
		{"config without checksum", deploymentOf("", "", delay+env, "") + reviewConfigs, ruleConfigNotNoticed, "ConfigMap/settings, Secret/keys"},
		{"config with checksum", deploymentOf("", "checksum/config: abc", delay+env, "") + reviewConfigs, "", ""},
		{"config of another owner", deploymentOf("", "", delay+env, ""), "", ""},
		{"projected Secret", deploymentOf("", "", delay, volumes) + reviewConfigs, ruleConfigNotNoticed, "Secret/keys"},
		{"hashed name", strings.ReplaceAll(deploymentOf("", "", delay+env, "")+reviewConfigs, "settings", "settings-1a2b3c4d5e"),
			ruleConfigNotNoticed, "read Secret/keys,"},
		{"immutable", deploymentOf("", "", delay+env, "") + strings.ReplaceAll(reviewConfigs, "metadata:", "immutable: true\nmetadata:"), "", ""},
		{"all at once", deploymentOf("replicas: 2", "", env, "") + reviewService + reviewHPA + reviewConfigs, ruleNoPreStopDelay + " " +
			ruleReplicasAndHPA + " " + ruleConfigNotNoticed, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := mustRender(t, specWith(t, map[string]string{"templates/all.yaml": c.chart}), installOf("live"))
			var rules, texts []string
			for _, f := range Review(r) {
				if f.Object != "apps/v1/Deployment/app" {
					t.Errorf("finding on %s", f.Object)
				}
				rules, texts = append(rules, f.Rule), append(texts, f.Text)
			}
			if got := strings.Join(rules, " "); got != c.rules {
				t.Errorf("rules %q, want %q (%v)", got, c.rules, texts)
			}
			if !strings.Contains(strings.Join(texts, "\n"), c.mentions) {
				t.Errorf("texts are %v", texts)
			}
		})
	}
}
