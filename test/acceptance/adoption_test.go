// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	helmcli "helm.sh/helm/v3/pkg/cli"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// The environments in these tests ran before Slipway came: a namespace without labels, with what Helm, kubectl or Argo CD put there.

const adopted = `, adopt = true }`

// adoption is the configuration of a release in an environment that adopts its namespace; extra goes into the release's block.
func (c tenant) adoption(version, extra string) string {
	name := fmt.Sprintf("{ name = %q }", c.namespace)
	return strings.Replace(c.stack(version, quick, extra), name, strings.TrimSuffix(name, " }")+adopted, 1)
}

// runningNamespace makes a namespace that belongs to no client.
func (c tenant) runningNamespace(labels map[string]string) {
	c.t.Helper()
	made := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: c.namespace, Labels: labels}}
	if _, err := harness.Kubernetes(c.t).CoreV1().Namespaces().Create(c.t.Context(), made, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

// helmInstalls is `helm install` of the sample chart, or with dryRun what it would install, as manifests.
func (c tenant) helmInstalls(dryRun bool) string {
	c.t.Helper()
	settings := helmcli.New()
	settings.KubeConfig, settings.KubeContext = kubeconfig, harness.Context(c.t)
	settings.SetNamespace(c.namespace)
	configuration := &action.Configuration{}
	if err := configuration.Init(settings.RESTClientGetter(), c.namespace, "secret", func(string, ...any) {}); err != nil {
		c.t.Fatal(err)
	}
	install := action.NewInstall(configuration)
	install.ReleaseName, install.Namespace, install.DryRun = releaseName, c.namespace, dryRun
	chart, err := loader.Load(harness.SampleChart())
	if err != nil {
		c.t.Fatal(err)
	}
	made, err := install.Run(chart, map[string]any{
		"autoscaling": map[string]any{"enabled": false}, "replicaCount": 1, "preStopSleepSeconds": 1, "terminationGracePeriodSeconds": 2,
		"image": map[string]any{"tag": "v1.1.1"},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return made.Manifest
}

// withoutHelm makes the objects of the sample chart one by one, as the named program does; change may mark them.
func (c tenant) withoutHelm(manager string, change func(*unstructured.Unstructured)) (objects int) {
	c.t.Helper()
	client, err := dynamic.NewForConfig(harness.Config(c.t))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, document := range strings.Split(c.helmInstalls(true), "\n---\n") {
		object := &unstructured.Unstructured{}
		text, err := yaml.YAMLToJSON([]byte(document))
		if err != nil {
			c.t.Fatal(err)
		}
		if string(text) == "null" {
			continue
		}
		if err := object.UnmarshalJSON(text); err != nil {
			c.t.Fatal(err)
		}
		change(object)
		resource := object.GroupVersionKind().GroupVersion().WithResource(strings.ToLower(object.GetKind()) + "s")
		if object.GetKind() == "PodDisruptionBudget" {
			resource.Resource = "poddisruptionbudgets"
		}
		if _, err := client.Resource(resource).Namespace(c.namespace).Create(c.t.Context(), object,
			metav1.CreateOptions{FieldManager: manager}); err != nil {
			c.t.Fatalf("%s %s: %v", object.GetKind(), object.GetName(), err)
		}
		objects++
	}
	return objects
}

// podUIDs are the UIDs of the pods that run, sorted.
func (c tenant) podUIDs(ctx context.Context) []string {
	c.t.Helper()
	list, err := harness.Kubernetes(c.t).CoreV1().Pods(c.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	var out []string
	for _, pod := range list.Items {
		out = append(out, string(pod.UID))
	}
	slices.Sort(out)
	return out
}

// appliedInPlace applies a configuration and demands that no pod was made again, and that a second plan is silent.
func (c tenant) appliedInPlace(w *workspace) {
	c.t.Helper()
	before := c.podUIDs(c.t.Context())
	if len(before) == 0 {
		c.t.Fatal("nothing runs")
	}
	w.apply()
	if after := c.podUIDs(c.t.Context()); !slices.Equal(before, after) {
		c.t.Errorf("the pods were %v and are %v", before, after)
	}
	policies, err := harness.Kubernetes(c.t).NetworkingV1().NetworkPolicies(c.namespace).List(c.t.Context(), metav1.ListOptions{})
	if err != nil || len(policies.Items) != 0 {
		c.t.Errorf("%d network policies, %v", len(policies.Items), err)
	}
	c.answersWith("v1.1.1")
	w.noChanges()
}

func wantAll(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("it does not say %q:\n%s", part, text)
		}
	}
}

func TestAdoption_OnePlanTakesOverWhatKubectlMade(t *testing.T) {
	t.Parallel()
	c := newTenant(t)
	c.runningNamespace(nil)
	objects := c.withoutHelm("kubectl-create", func(*unstructured.Unstructured) {})
	c.answersWith("v1.1.1")

	w := newWorkspace(t, map[string]string{"main.tf": c.adoption("v1.1.1", "")})
	wantAll(t, w.refused("plan", "-no-color", "-input=false"), "it was made by kubectl", "Set take_ownership = true")
	w.write("main.tf", c.adoption("v1.1.1", "take_ownership = true"))
	text := unwrap(w.plan())
	wantAll(t, text, fmt.Sprintf("takes over %d running objects: ", objects), "Deployment/"+releaseName+" (kubectl)",
		"The environment "+c.client+"/prod takes over namespace "+c.namespace, "Deployment/"+releaseName+" (1 pod)",
		"(kubectl): taken over as it runs", "Plan: 2 to add, 0 to change, 0 to destroy")
	if strings.Contains(text, "install v1.1.1") || strings.Contains(text, "isolate") {
		t.Errorf("the plan says what it does not do:\n%s", text)
	}
	c.appliedInPlace(w)
}

func TestAdoption_ShowsWhatArgoCDWouldUndo(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	c := newTenant(t)
	c.runningNamespace(nil)
	c.withoutHelm("argocd-controller", func(o *unstructured.Unstructured) {
		o.SetAnnotations(map[string]string{"argocd.argoproj.io/tracking-id": "shop-web:" + o.GetKind() + ":" + c.namespace + "/" + o.GetName()})
	})
	c.answersWith("v1.1.1")
	w := newWorkspace(t, map[string]string{"main.tf": c.adoption("v1.1.1", "take_ownership = true")})
	wantAll(t, unwrap(w.plan()), "Deployment/"+releaseName+" (Argo CD, Application shop-web)", "must neither heal nor prune these objects",
		"argocd app set shop-web --sync-policy none", "argocd app delete shop-web --cascade=false")
	c.appliedInPlace(w)
}

func TestAdoption_OnePlanImportsAReleaseOfHelm(t *testing.T) {
	t.Parallel()
	c := newTenant(t)
	c.runningNamespace(nil)
	c.helmInstalls(false)
	c.answersWith("v1.1.1")
	block := fmt.Sprintf(`
import {
  to = %s
  id = "%s/%s/%s"
}
`, app, harness.Context(t), c.namespace, releaseName)
	w := newWorkspace(t, map[string]string{"main.tf": c.adoption("v1.1.1", "")})
	id := harness.Context(t) + "/" + c.namespace
	for address, of := range map[string]string{app: id + "/" + releaseName, environment: id} {
		wantAll(t, w.refused("import", "-no-color", "-input=false", address, of), "does not belong to an environment yet", "adopt = true",
			"The command terraform import does not read them")
	}

	w.write("main.tf", c.adoption("v1.1.1", "rollback {}")+block)
	text := unwrap(w.plan())
	wantAll(t, text, "takes over revision 1, which another program made", "a failure is rolled back to revision 1",
		"Plan: 1 to import, 1 to add, 1 to change, 0 to destroy")
	if strings.Contains(text, "repaired") || strings.Contains(text, "modified") || strings.Contains(text, "overwrite") {
		t.Errorf("the plan says what is not so:\n%s", text)
	}
	c.appliedInPlace(w)
}

func TestAdoption_TakesOverAReleaseOfHelmWithoutAnImport(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	c := newTenant(t)
	c.runningNamespace(nil)
	c.helmInstalls(false)
	c.answersWith("v1.1.1")
	w := newWorkspace(t, map[string]string{"main.tf": c.adoption("v1.1.1", "take_ownership = true")})
	wantAll(
		t,
		unwrap(w.plan()),
		"takes over Helm release "+releaseName+", revision 1",
		"Deployment/"+releaseName+" (Helm release "+releaseName+")",
	)
	c.appliedInPlace(w)
}

func TestAdoption_RefusesANamespaceOfAnotherClient(t *testing.T) {
	t.Parallel()
	c := newTenant(t)
	c.runningNamespace(map[string]string{"slipway.dev/client": "client-x", "slipway.dev/stage": "prod"})
	w := newWorkspace(t, map[string]string{"main.tf": c.adoption("v1.1.1", "take_ownership = true") + fmt.Sprintf(`
import {
  to = %s
  id = "%s/%s/%s"
}
`, app, harness.Context(t), c.namespace, releaseName)})
	wantAll(t, w.refused("plan", "-no-color", "-input=false"), `client "client-x", stage "prod"`)
	w.write("main.tf", c.adoption("v1.1.1", "take_ownership = true"))
	wantAll(t, w.refused("plan", "-no-color", "-input=false"), "never taken over")
}

func TestAdoption_WarnsWhatStopsThePodsThatRun(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	c := newTenant(t)
	c.runningNamespace(nil)
	c.withoutHelm("kubectl-create", func(*unstructured.Unstructured) {})
	c.answersWith("v1.1.1")
	config := c.adoption("v1.1.1", "take_ownership = true")
	config = strings.Replace(config, `stage               = "prod"`, `stage               = "prod"
  network             = { ingress = "deny", egress = "deny" }
  resource_quota      = { hard = { pods = "0", "requests.cpu" = "10m" } }
  limit_range         = { max = { memory = "16Mi" } }`, 1)
	config = strings.Replace(config, "adopt = true }", `adopt = true, pod_security = { enforce = "restricted" } }`, 1)
	w := newWorkspace(t, map[string]string{"main.tf": config})
	workload := "Deployment/" + releaseName + " (1 pod)"
	text := unwrap(w.run("plan", "-no-color", "-input=false").text)
	wantAll(t, text, `network.ingress = "deny" isolates pods that run`, `network.egress = "deny" isolates pods that run`,
		"Isolated are "+workload, "resource_quota: pods is 0, and the pods that run have 1", "resource_quota: requests.cpu is 10m",
		"limit_range: containers of "+workload+" are outside max.memory = 16Mi")
}
