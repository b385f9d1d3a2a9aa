// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"        //nolint:depguard // not a part of the provider
	"helm.sh/helm/v3/pkg/chart/loader" //nolint:depguard // not a part of the provider
	"helm.sh/helm/v3/pkg/chartutil"    //nolint:depguard // not a part of the provider
	"helm.sh/helm/v3/pkg/engine"       //nolint:depguard // not a part of the provider
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite the golden files of the chart")

const chartPath = "chart/data-collection-service"

// The values of two clients, as the deployment strategy has them.
const (
	clientA = `
environment: client-a
stage: prod
resources: {limits: {cpu: 2000m, memory: 4Gi}}
autoscaling: {maxReplicas: 50}
`
	clientB = `
environment: client-b
stage: prod
resources: {limits: {cpu: 1000m, memory: 2Gi}}
autoscaling: {maxReplicas: 20}
`
	everything = `
environment: client-a
stage: dev
image: {registry: mirror.company.com/, repository: team/data-collection, tag: v1.2.0-rc.1, pullPolicy: Always,
  digest: "sha256:` + someDigest + `"}
imagePullSecrets: [{name: registry}]
autoscaling: {enabled: false}
replicaCount: 3
config: {LOG_LEVEL: debug, MAX_RECORD_BYTES: 1000}
faults: {readinessDelay: 5s, failReadinessAfter: 1m30s, errorShare: 0.2, errorAfter: 20s, latency: 10ms,
  crashAfter: 1h, crashOnStart: true, reportVersion: v1.0.0}
apiToken: "token \"with\" quotes"
database: {host: db.company.com, user: app, password: "p: @ #", existingSecret: more, createTable: true}
service: {type: LoadBalancer, annotations: {a: b}}
serviceAccount: {name: own, annotations: {eks.amazonaws.com/role-arn: "arn:aws:iam::111111111111:role/app"}}
podDisruptionBudget: {maxUnavailable: 25%}
preStopSleepSeconds: 0
terminationGracePeriodSeconds: 1
podLabels: {team: data}
nodeSelector: {kubernetes.io/arch: amd64}
tolerations: [{key: spot, operator: Exists}]
affinity: {nodeAffinity: {}}
topologySpreadConstraints:
  - {maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: ScheduleAnyway}
  - {maxSkew: 2, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {own: selector}}}
`
	someDigest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

func loadChart(t *testing.T) *chart.Chart {
	t.Helper()
	c, err := loader.LoadDir(chartPath)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// render renders the chart as `helm template` does and returns the text of each template that is not empty.
func render(t *testing.T, release, values string) (map[string]string, error) {
	t.Helper()
	var parsed map[string]any
	if err := yaml.Unmarshal([]byte(values), &parsed); err != nil {
		t.Fatal(err)
	}
	c := loadChart(t)
	options := chartutil.ReleaseOptions{Name: release, Namespace: "data-collection-client-a", Revision: 1, IsInstall: true}
	all, err := chartutil.ToRenderValues(c, parsed, options, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(c, all)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(files, func(_ string, text string) bool { return strings.TrimSpace(text) == "" })
	return files, nil
}

type object map[string]any

// at follows keys, and indices of lists, into an object.
func (o object) at(path ...any) any {
	var current any = map[string]any(o)
	for _, step := range path {
		switch key := step.(type) {
		case string:
			fields, _ := current.(map[string]any)
			current = fields[key]
		case int:
			list, _ := current.([]any)
			if key >= len(list) {
				return nil
			}
			current = list[key]
		}
	}
	return current
}

// objects renders the chart and returns its objects by "Kind/name".
func objects(t *testing.T, release, values string) map[string]object {
	t.Helper()
	files, err := render(t, release, values)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]object{}
	for name, text := range files {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		var o object
		if err := yaml.UnmarshalStrict([]byte(text), &o); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		found[fmt.Sprintf("%v/%v", o["kind"], o.at("metadata", "name"))] = o
	}
	return found
}

func names(objects map[string]object) string {
	return strings.Join(slices.Sorted(maps.Keys(objects)), " ")
}

func TestChart_RendersTheGoldenFiles(t *testing.T) {
	for name, test := range map[string]struct{ release, values string }{
		"client-a":        {"data-collection-service", clientA},
		"client-b":        {"data-collection-service", clientB},
		"defaults":        {"data-collection-service", ""},
		"everything":      {"data-collection-service", everything},
		"role-shared":     {"dc-shared", "slipway: {role: shared, app: data-collection-service}"},
		"role-track":      {"data-collection-service", "slipway: {role: track, app: data-collection-service}"},
		"role-canary":     {"dc-canary", "slipway: {role: track, app: data-collection-service, track: canary}"},
		"database-in-url": {"data-collection-service", "database: {url: 'postgres://app:secret@db/records'}"},
	} {
		t.Run(name, func(t *testing.T) {
			files, err := render(t, test.release, test.values)
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			for _, file := range slices.Sorted(maps.Keys(files)) {
				fmt.Fprintf(&text, "--- # %s\n%s\n", strings.TrimPrefix(file, "data-collection-service/"), strings.TrimSpace(files[file]))
			}
			golden := filepath.Join("testdata", "chart", name+".yaml")
			if *update {
				if err := os.WriteFile(golden, []byte(text.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if text.String() != string(want) {
				t.Errorf("the chart does not render %s any more (go test -run TestChart . -update rewrites it):\n%s", golden, text.String())
			}
		})
	}
}

func TestChart_RolesMakeUpTheWholeWithoutOverlap(t *testing.T) {
	const app = "data-collection-service"
	all := objects(t, app, "apiToken: t\nslipway: {role: all}")
	shared := objects(t, "dc-shared", "apiToken: t\nslipway: {role: shared, app: "+app+"}")
	track := objects(t, app, "apiToken: t\nslipway: {role: track, app: "+app+"}")

	if got := names(shared); got != "PodDisruptionBudget/"+app+" Service/"+app+" ServiceAccount/"+app {
		t.Errorf("shared makes %s", got)
	}
	both := maps.Clone(shared)
	for name, o := range track {
		if _, twice := both[name]; twice {
			t.Errorf("%s is made by both shared and track", name)
		}
		both[name] = o
	}
	if names(both) != names(all) {
		t.Errorf("shared and track make %s, all makes %s", names(both), names(all))
	}

	// Going from one release to tracks must not touch the running pods.
	if !reflect.DeepEqual(track["Deployment/"+app], all["Deployment/"+app]) {
		t.Error("the Deployment of the stable track differs from that of the whole release")
	}
	if !reflect.DeepEqual(shared["Service/"+app].at("spec"), all["Service/"+app].at("spec")) {
		t.Error("the shared Service differs from that of the whole release")
	}
}

func TestChart_ServiceSelectsThePodsOfAllTracksAndDeploymentsOnlyTheirOwn(t *testing.T) {
	shared := objects(t, "dc-shared", "slipway: {role: shared, app: dc}")
	stable := objects(t, "dc", "slipway: {role: track, app: dc}")
	canary := objects(t, "dc-canary", "slipway: {role: track, app: dc, track: canary}")
	selects := func(selector, labels any) bool {
		want, ok := selector.(map[string]any)
		have, ok2 := labels.(map[string]any)
		if !ok || !ok2 || len(want) == 0 {
			t.Fatalf("no selector %v or no labels %v", selector, labels)
		}
		for key, value := range want {
			if have[key] != value {
				return false
			}
		}
		return true
	}
	podLabels := func(o map[string]object, name string) any {
		return o["Deployment/"+name].at("spec", "template", "metadata", "labels")
	}
	stablePods, canaryPods := podLabels(stable, "dc"), podLabels(canary, "dc-canary")
	testPods := stable["Pod/dc-test"].at("metadata", "labels")

	for what, selector := range map[string]any{
		"Service":             shared["Service/dc"].at("spec", "selector"),
		"PodDisruptionBudget": shared["PodDisruptionBudget/dc"].at("spec", "selector", "matchLabels"),
	} {
		if !selects(selector, stablePods) || !selects(selector, canaryPods) || selects(selector, testPods) {
			t.Errorf("the %s does not select the pods of both tracks and only them: %v", what, selector)
		}
	}
	stableSelector := stable["Deployment/dc"].at("spec", "selector", "matchLabels")
	canarySelector := canary["Deployment/dc-canary"].at("spec", "selector", "matchLabels")
	if !selects(stableSelector, stablePods) || selects(stableSelector, canaryPods) || selects(stableSelector, testPods) ||
		!selects(canarySelector, canaryPods) || selects(canarySelector, stablePods) {
		t.Errorf("the Deployments do not select their own pods only: %v, %v", stableSelector, canarySelector)
	}
}

func TestChart_LeavesTheNumberOfPodsToTheAutoscaler(t *testing.T) {
	const deployment, hpa = "Deployment/dc", "HorizontalPodAutoscaler/dc"
	scaled := objects(t, "dc", clientA)
	if replicas := scaled[deployment].at("spec", "replicas"); replicas != nil {
		t.Errorf("replicas is %v next to an autoscaler", replicas)
	}
	if got := scaled[hpa].at("spec", "maxReplicas"); got != float64(50) {
		t.Errorf("maxReplicas is %v", got)
	}
	fixed := objects(t, "dc", "autoscaling: {enabled: false}\nreplicaCount: 3")
	if _, ok := fixed[hpa]; ok || fixed[deployment].at("spec", "replicas") != float64(3) {
		t.Errorf("without an autoscaler: %v", fixed[deployment].at("spec", "replicas"))
	}
}

func TestChart_RestartsPodsWhenTheirConfigurationChanges(t *testing.T) {
	annotations := func(values string) any {
		return objects(t, "dc", values)["Deployment/dc"].at("spec", "template", "metadata", "annotations")
	}
	base := annotations("apiToken: one")
	for what, values := range map[string]string{
		"config":   "{apiToken: one, config: {LOG_LEVEL: debug}}",
		"fault":    "{apiToken: one, faults: {errorShare: 0.1}}",
		"token":    "{apiToken: two}",
		"password": "{apiToken: one, database: {password: x}}",
	} {
		if reflect.DeepEqual(annotations(values), base) {
			t.Errorf("another %s starts no new pods", what)
		}
	}
	if !reflect.DeepEqual(annotations("{apiToken: one, service: {port: 81}}"), base) {
		t.Error("another port of the Service starts new pods")
	}
}

func TestChart_ChangesOnlyTheDeploymentAndItsTestForANewVersion(t *testing.T) {
	before, after := objects(t, "dc", "image: {tag: v1.1.1}"), objects(t, "dc", "image: {tag: v1.2.0}")
	var changed []string
	for name := range before {
		if !reflect.DeepEqual(before[name], after[name]) {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	if got := strings.Join(changed, " "); got != "Deployment/dc Pod/dc-test" {
		t.Errorf("a new version changes %s", got)
	}
}

func TestChart_KeepsSecretsInItsSecret(t *testing.T) {
	files, err := render(t, "dc",
		"{apiToken: canary-token, database: {url: 'postgres://u:canary-url@h/d', password: canary-password, host: h}}")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if strings.Contains(text, "canary") {
			t.Errorf("%s holds a secret in the clear:\n%s", name, text)
		}
	}
	if files["data-collection-service/templates/secret.yaml"] == "" {
		t.Error("there is no Secret")
	}
}

// The words that make a chart render differently each time, or for each cluster.
var impure = regexp.MustCompile(`\b(lookup|now|date\w*|ago|rand\w*|gen[A-Z]\w*|uuidv4|htpasswd|bcrypt|encryptAES|derivePassword|` +
	`getHostByName|Revision|IsInstall|IsUpgrade|Capabilities)\b`)

func TestChart_RendersTheSameEachTime(t *testing.T) {
	for _, template := range loadChart(t).Templates {
		if word := impure.Find(template.Data); word != nil {
			t.Errorf("%s uses %s", template.Name, word)
		}
	}
	first, err := render(t, "dc", everything)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if again, err := render(t, "dc", everything); err != nil || !maps.Equal(first, again) {
			t.Fatalf("the chart renders differently (%v)", err)
		}
	}
}

func TestChart_RefusesUnfitValues(t *testing.T) {
	for name, test := range map[string]struct{ values, want string }{
		"unknown key":           {"replicas: 3", "'replicas' not allowed"},
		"misspelled nested key": {"autoscaling: {maxReplica: 3}", "'maxReplica' not allowed"},
		"unknown resource":      {"resources: {limits: {cpus: 1}}", "'cpus' not allowed"},
		"number as text":        {"autoscaling: {maxReplicas: '50'}", "got string, want integer"},
		"too small":             {"autoscaling: {minReplicas: 0}", "minimum: got 0, want 1"},
		"more than the maximum": {
			"autoscaling: {minReplicas: 20, maxReplicas: 10}",
			"minReplicas is 20, more than autoscaling.maxReplicas, which is 10",
		},
		"quantity":                  {"resources: {limits: {memory: 4GB}}", "'4GB' does not match pattern"},
		"share above 1":             {"faults: {errorShare: 1.5}", "maximum"},
		"duration without unit":     {"faults: {latency: '5'}", "does not match pattern"},
		"digest cut off":            {"image: {digest: 'sha256:0123'}", "does not match pattern"},
		"pull policy":               {"image: {pullPolicy: Sometimes}", "value must be one of"},
		"upper case client":         {"environment: Client-A", "does not match pattern"},
		"stage with hyphen":         {"stage: pre-prod", "does not match pattern"},
		"role":                      {"slipway: {role: half}", "value must be one of"},
		"track without app":         {"slipway: {role: track}", "slipway.app is needed"},
		"shared without app":        {"slipway: {role: shared}", "slipway.app is needed"},
		"secret in public config":   {"config: {API_TOKEN: x}", "'not' failed"},
		"lower case variable":       {"config: {logLevel: x}", "does not match pattern"},
		"needed object taken away":  {"image: null", "missing property 'image'"},
		"text instead of an object": {"service: web", "got string, want object"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := render(t, "dc", test.values)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want %q", err, test.want)
			}
		})
	}
}

func TestChart_DoesNotRepeatASecretOfTheWrongType(t *testing.T) {
	_, err := render(t, "dc", "{apiToken: 4711471147, database: {password: [canary], url: 4711471147}}")
	if err == nil || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "47114") {
		t.Errorf("got error %v", err)
	}
}

func TestChart_TakesValuesOfOtherTools(t *testing.T) {
	if _, err := render(t, "dc", "global: {any: thing}\nslipway: {client: client-a, stage: prod}"); err != nil {
		t.Error(err)
	}
}

func TestChart_DescribesEveryValueInItsSchema(t *testing.T) {
	var schema map[string]any
	c := loadChart(t)
	if err := yaml.Unmarshal(c.Schema, &schema); err != nil {
		t.Fatal(err)
	}
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		t.Fatal("the schema has no properties")
	}
	for key := range c.Values {
		if properties[key] == nil {
			t.Errorf("%s is in values.yaml and not in the schema", key)
		}
	}
	for key := range properties {
		if _, ok := c.Values[key]; !ok && key != "global" {
			t.Errorf("%s is in the schema and has no default in values.yaml", key)
		}
	}
	var open []string
	findOpenObjects("", schema, &open)
	slices.Sort(open)
	// As in Kubernetes, or with keys of the user's choice.
	want := "/properties/affinity /properties/global /properties/slipway /properties/tolerations/items " +
		"/properties/topologySpreadConstraints/items"
	if got := strings.Join(open, " "); got != want {
		t.Errorf("objects that take any key: %s\nwant: %s", got, want)
	}
}

// findOpenObjects collects the paths of schemas for objects that do not limit their keys.
func findOpenObjects(path string, schema any, open *[]string) {
	switch s := schema.(type) {
	case map[string]any:
		if s["type"] == "object" && s["additionalProperties"] == nil {
			*open = append(*open, path)
		}
		for key, value := range s {
			findOpenObjects(path+"/"+key, value, open)
		}
	case []any:
		for i, value := range s {
			findOpenObjects(fmt.Sprintf("%s/%d", path, i), value, open)
		}
	}
}
