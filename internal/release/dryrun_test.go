// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/dryrun"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// dryRunChart has one Deployment whose parts the values decide. Its image does not exist, since no test needs it to run.
func dryRunChart(t *testing.T, values map[string]any) Spec {
	t.Helper()
	spec := specOfFiles(t, map[string]string{
		"values.yaml": "image: v1\nreplicas: 2\nselector: x\nenv: {A: '1', B: '2'}\nextra: ''\ncpu: 100m\nsurge: 1\nunavailable: 0\n" +
			"hpa: false\nsecret: canary-one\n",
		"templates/deployment.yaml": `apiVersion: apps/v1
kind: Deployment
metadata: {name: app, labels: {tier: web}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: "{{ .Values.selector }}"}}
  strategy: {rollingUpdate: {maxSurge: {{ .Values.surge }}, maxUnavailable: {{ .Values.unavailable }}}}
  template:
    metadata: {labels: {app: "{{ .Values.selector }}"}}
    spec:
      serviceAccountName: app
      containers:
        - name: app
          image: "missing.invalid/app:{{ .Values.image }}"
          resources: {requests: {cpu: "{{ .Values.cpu }}"}}
          env:
            {{- range $k, $v := .Values.env }}
            - {name: {{ $k }}, value: {{ $v | quote }}}
            {{- end }}
`,
		"templates/account.yaml": "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: app}\n",
		"templates/secret.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: app}\nimmutable: true\n" +
			"stringData: {token: {{ .Values.secret | quote }}}\n",
		"templates/hpa.yaml":   "{{ if .Values.hpa }}\n" + strings.TrimPrefix(autoscalerYAML, "\n---\n") + "{{ end }}",
		"templates/extra.yaml": "{{ .Values.extra }}",
	})
	spec.Values = values
	return spec
}

// deployed installs a chart by Helm and returns what the state would hold of it.
func (b *bench) deployed(spec Spec) map[object.Key]string {
	b.t.Helper()
	b.helmInstall(spec)
	return rendered(b.t, spec, b.options(true, 1)).Objects
}

func (b *bench) dryRun(previous map[object.Key]string, spec Spec) *dryrun.Result {
	b.t.Helper()
	result, err := dryrun.Run(b.t.Context(), b.target, previous, rendered(b.t, spec, b.options(false, 2)), dryrun.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	return result
}

func TestDryRun_ReportsWhatTheAPIServerWouldRefuse(t *testing.T) {
	cases := []struct {
		name   string
		values map[string]any
		object object.Key
		reason string
		text   []string
	}{
		{"immutable field", map[string]any{"selector": "y"}, "apps/v1/Deployment/app", "Invalid", []string{"field is immutable"}},
		{"unknown field", map[string]any{"extra": "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80, prot: x}]}"},
			"v1/Service/s", "BadRequest", []string{"unknown field", "prot"}},
		{"bad name", map[string]any{"extra": configMapYAML("b") + "  bad/key: x\n"}, "v1/ConfigMap/one", "Invalid", []string{"bad/key"}},
		{"bad quantity in a pod", map[string]any{"cpu": "-1"}, "apps/v1/Deployment/app", "Invalid",
			[]string{"must be greater than or equal to 0"}},
		{"taken name", map[string]any{"extra": strings.Replace(configMapYAML("b"), "one", "theirs", 1)}, "v1/ConfigMap/theirs", "AlreadyExists",
			[]string{"Helm release other in namespace elsewhere"}},
		{"name taken by hand", map[string]any{"extra": strings.Replace(configMapYAML("b"), "one", "handmade", 1)}, "v1/ConfigMap/handmade",
			"AlreadyExists", []string{"no Helm release", "slipway-test", "take_ownership = true"}},
		{"missing account", map[string]any{"extra": podWith("serviceAccountName: nobody")}, "v1/Pod/p", "Forbidden", []string{"nobody"}},
		{"missing namespace", map[string]any{"extra": strings.Replace(configMapYAML("b"), "name: one",
			"name: one\n  namespace: does-not-exist-anywhere", 1)},
			"v1/ConfigMap/does-not-exist-anywhere/one", "NotFound", []string{"does-not-exist-anywhere"}},
		{"a secret that cannot change", map[string]any{"secret": "canary-two"}, "v1/Secret/app", "Invalid", []string{"immutable"}},
	}
	b := newBench(t)
	previous := b.deployed(dryRunChart(t, nil))
	for name, annotations := range map[string]map[string]string{"theirs": {ownership.AnnotationReleaseName: "other",
		ownership.AnnotationReleaseNamespace: "elsewhere"}, "handmade": nil} {
		labels := map[string]string{}
		if annotations != nil {
			labels[ownership.LabelManagedBy] = ownership.ManagedByHelm
		}
		_, err := b.client.CoreV1().ConfigMaps(b.namespace()).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Name: name, Annotations: annotations, Labels: labels},
			Data: map[string]string{"a": "b"}}, metav1.CreateOptions{FieldManager: "slipway-test"})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			spec := dryRunChart(t, c.values)
			result := b.dryRun(previous, spec)
			if len(result.Refusals) == 0 {
				t.Fatalf("nothing is refused: %+v", result)
			}
			first := result.Refusals[0]
			if first.Object != c.object || first.Reason != c.reason {
				t.Errorf("refused is %s (%s): %s", first.Object, first.Reason, first.Message)
			}
			wantText(t, first.Message, c.text...)
			if strings.Contains(fmt.Sprint(result), "canary-") {
				t.Errorf("a secret is shown: %+v", result)
			}
		})
	}
}

func podWith(spec string) string {
	return "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  " + spec + "\n  containers: [{name: a, image: missing.invalid/x}]\n"
}

func TestDryRun_AcceptsWhatIsFine(t *testing.T) {
	b := newBench(t)
	first := dryRunChart(t, nil)
	if result := b.dryRun(nil, first); len(result.Refusals)+len(result.Overwrites)+len(result.Skipped) > 0 {
		t.Errorf("on create (with a ServiceAccount of its own): %+v", result)
	}
	if pods, err := b.client.CoreV1().ConfigMaps(b.namespace()).List(t.Context(),
		metav1.ListOptions{LabelSelector: ownership.LabelManagedBy}); err != nil || len(pods.Items) > 0 {
		t.Errorf("the dry run wrote something: %v %v", pods, err)
	}
	previous := b.deployed(first)
	result := b.dryRun(previous, dryRunChart(t, map[string]any{"image": "v2", "replicas": int64(3), "env": map[string]any{"B": nil, "C": "3"},
		"cpu": "2000m"}))
	if len(result.Refusals)+len(result.Overwrites)+len(result.Skipped) > 0 {
		t.Errorf("on update: %+v", result)
	}
}

func TestDryRun_PredictsWhatHelmDoes(t *testing.T) {
	b := newBench(t)
	previous := b.deployed(dryRunChart(t, nil))
	deployments := b.client.AppsV1().Deployments(b.namespace())
	edit := `{"metadata":{"labels":{"tier":"edited","mine":"stays"}},"spec":{"replicas":5,"template":{"spec":{"containers":[{"name":"app",` +
		`"env":[{"name":"A","value":"by hand"},{"name":"Z","value":"26"}]}]}}}}`
	if _, err := deployments.Patch(t.Context(), "app", types.StrategicMergePatchType, []byte(edit),
		metav1.PatchOptions{FieldManager: "kubectl-edit"}); err != nil {
		t.Fatal(err)
	}
	next := dryRunChart(t, map[string]any{"image": "v2", "env": map[string]any{"B": nil, "C": "3"}})
	result := b.dryRun(previous, next)
	got := map[string]string{}
	for _, o := range result.Overwrites {
		if o.Object != "apps/v1/Deployment/app" {
			t.Errorf("overwrite of %s", o.Object)
		}
		got[o.Path] = o.Live + " → " + o.Target
	}
	want := map[string]string{
		"metadata.labels.tier": `"edited" → "web"`,
		"spec.replicas":        "5 → 2",
		"spec.template.spec.containers[name=app].env[name=A].value": `"by hand" → "1"`,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("overwrites are\n%v, want\n%v", got, want)
	}
	b.helmUpgrade(next)
	live, err := deployments.Get(t.Context(), "app", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if live.Labels["tier"] != "web" || live.Labels["mine"] != "stays" || *live.Spec.Replicas != 2 {
		t.Errorf("Helm did otherwise: %v, %d replicas", live.Labels, *live.Spec.Replicas)
	}
	if env := fmt.Sprint(live.Spec.Template.Spec.Containers[0].Env); !strings.Contains(env, "{A 1 ") || strings.Contains(env, "{B ") ||
		!strings.Contains(env, "{Z 26 ") {
		t.Errorf("Helm did otherwise: %v", env)
	}
}

func TestDryRun_LeavesReplicasToTheAutoscaler(t *testing.T) {
	b := newBench(t)
	previous := b.deployed(dryRunChart(t, map[string]any{"hpa": true}))
	scale := []byte(`{"spec":{"replicas":3}}`)
	if _, err := b.client.AppsV1().Deployments(b.namespace()).Patch(t.Context(), "app", types.MergePatchType, scale,
		metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if result := b.dryRun(previous, dryRunChart(t, map[string]any{"hpa": true, "image": "v2"})); len(result.Overwrites) > 0 {
		t.Errorf("overwrites: %+v", result.Overwrites)
	}
}

func TestDryRun_MasksOverwrittenSecrets(t *testing.T) {
	b := newBench(t)
	spec := dryRunChart(t, map[string]any{"env": map[string]any{"A": "public"}})
	spec.Sensitive = map[string]any{"env": map[string]any{"B": "canary-env"}}
	previous := b.deployed(spec)
	edit := `{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":"B","value":"canary-live"}]}]}}}}`
	if _, err := b.client.AppsV1().Deployments(b.namespace()).Patch(t.Context(), "app", types.StrategicMergePatchType, []byte(edit),
		metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	next := spec
	next.Values = map[string]any{"env": map[string]any{"A": "public"}, "image": "v2"}
	result := b.dryRun(previous, next)
	if len(result.Overwrites) != 1 || result.Overwrites[0].Live != object.MaskSecret || strings.Contains(fmt.Sprint(result), "canary") {
		t.Errorf("result is %+v", result)
	}
}

func TestDryRun_CountsQuotaForTheWholeRollout(t *testing.T) {
	b := newBench(t)
	previous := b.deployed(dryRunChart(t, nil))
	// The quota's controller can miss pods that are made while it counts for the first time, and counts again only after minutes.
	b.eventually("two pods are there", func() bool {
		pods, err := b.client.CoreV1().Pods(b.namespace()).List(t.Context(), metav1.ListOptions{})
		return err == nil && len(pods.Items) == 2
	})
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "team"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{
		"requests.cpu": resource.MustParse("250m"), "pods": resource.MustParse("10")}}}
	quotas := b.client.CoreV1().ResourceQuotas(b.namespace())
	if _, err := quotas.Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	b.eventually("the quota counts two pods", func() bool {
		q, err := quotas.Get(t.Context(), "team", metav1.GetOptions{})
		used := q.Status.Used["requests.cpu"]
		return err == nil && used.Cmp(resource.MustParse("200m")) == 0
	})
	cases := []struct {
		name   string
		values map[string]any
		fits   bool
		text   []string
	}{
		{"rollout without room for one more pod", map[string]any{"image": "v2"}, false,
			[]string{"requests.cpu", "team", "50m of requests.cpu", "50m too much", "one more pod"}},
		{"rollout that makes its own room", map[string]any{"image": "v2", "unavailable": int64(1)}, true, nil},
		{"smaller pods", map[string]any{"image": "v2", "cpu": "50m"}, true, nil},
		{"one more replica", map[string]any{"replicas": int64(3)}, false, []string{"100m more", "3 × 100m instead of 2 × 100m"}},
		{"larger pods", map[string]any{"cpu": "200m", "unavailable": int64(1)}, false, []string{"200m more"}},
		{"fewer replicas", map[string]any{"replicas": int64(1)}, true, nil},
		{"nothing about pods", map[string]any{"extra": configMapYAML("b")}, true, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			result := b.dryRun(previous, dryRunChart(t, c.values))
			if c.fits != (len(result.Refusals) == 0) {
				t.Fatalf("fits: %v, result %+v", c.fits, result)
			}
			if !c.fits {
				wantText(t, result.Refusals[0].Message, c.text...)
				if result.Refusals[0].Object != "apps/v1/Deployment/app" {
					t.Errorf("refused is %s", result.Refusals[0].Object)
				}
			}
		})
	}
}

func TestDryRun_AsksForOnePodOfEachChangedTemplate(t *testing.T) {
	b := newBench(t)
	patch := []byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`)
	if _, err := b.client.CoreV1().Namespaces().Patch(t.Context(), b.namespace(), types.MergePatchType, patch,
		metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	result := b.dryRun(nil, dryRunChart(t, nil))
	if len(result.Refusals) != 1 || result.Refusals[0].Object != "apps/v1/Deployment/app" {
		t.Fatalf("result is %+v", result)
	}
	wantText(t, result.Refusals[0].Message, "its pods would be refused", "PodSecurity", "runAsNonRoot")
}

func TestDryRun_ReportsWhatItCannotValidate(t *testing.T) {
	b := newBench(t)
	widget := "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n"
	result := b.dryRun(nil, dryRunChart(t, map[string]any{"extra": widget}))
	if len(result.Skipped) != 1 || len(result.Refusals) > 0 {
		t.Fatalf("result is %+v", result)
	}
	wantText(t, result.Skipped[0], "Widget/w", "does not serve")
	crd := "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets.example.com}\nspec:\n" +
		"  group: example.com\n  scope: Namespaced\n" +
		"  names: {kind: Widget, plural: widgets, singular: widget}\n  versions: [{name: v1, served: true, storage: true, schema: " +
		"{openAPIV3Schema: {type: object}}}]\n---\n"
	result = b.dryRun(nil, dryRunChart(t, map[string]any{"extra": crd + widget}))
	if len(result.Skipped) != 1 || len(result.Refusals) > 0 {
		t.Fatalf("result is %+v", result)
	}
	wantText(t, result.Skipped[0], "Widget/w", "comes with the same release")
	spec := specOfFiles(t, map[string]string{"crds/widget.yaml": crd, "templates/w.yaml": widget})
	spec.CreateCRDs = true
	wantText(t, strings.Join(b.dryRun(nil, spec).Skipped, ""), "Widget/w", "comes with the same release")
}

func TestDryRun_ReportsMissingRightsWithoutAnError(t *testing.T) {
	b := newBench(t)
	previous := b.deployed(dryRunChart(t, nil))
	if _, err := b.client.RbacV1().RoleBindings(b.namespace()).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: "app", Namespace: b.namespace()}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.client.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: b.namespace()},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: "app", Namespace: b.namespace()}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.client.RbacV1().ClusterRoleBindings().Delete(context.Background(), b.namespace(), metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	token, err := b.client.CoreV1().ServiceAccounts(b.namespace()).CreateToken(t.Context(), "app", &authenticationv1.TokenRequest{},
		metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := harness.Config(t)
	ca := kubeconfig.CAData
	if len(ca) == 0 {
		if ca, err = os.ReadFile(kubeconfig.CAFile); err != nil {
			t.Fatal(err)
		}
	}
	limited, err := cluster.NewConnections(cluster.Config{Clusters: map[string]cluster.Connection{"limited": {
		Host: kubeconfig.Host, ClusterCACertificate: string(ca), Token: token.Status.Token,
	}}}).Cluster(t.Context(), cluster.Coordinate{Context: "limited"})
	if err != nil {
		t.Fatal(err)
	}
	next := rendered(t, dryRunChart(t, map[string]any{"image": "v2", "extra": configMapYAML("b")}), b.options(false, 2))
	target := b.target
	target.Cluster = limited
	var result *dryrun.Result
	b.eventually("the rights reach the authorizer", func() bool {
		var forbidden *cluster.ForbiddenError
		result, err = dryrun.Run(t.Context(), target, previous, next, dryrun.Options{})
		return !errors.As(err, &forbidden)
	})
	if err != nil || len(result.Refusals) > 0 {
		t.Fatalf("result %+v, error %v", result, err)
	}
	wantText(t, strings.Join(result.Skipped, "\n"), "Deployment/app", "ConfigMap/one", "cannot patch", "cannot create",
		"no right to list Secrets")
}

func TestDryRun_ValidatesThePodsOfHooks(t *testing.T) {
	b := newBench(t)
	job := "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate, annotations: {helm.sh/hook: pre-upgrade}}\nspec:\n  template:\n" +
		"    spec:\n" +
		"      restartPolicy: Never\n      serviceAccountName: %s\n      containers: [{name: a, image: missing.invalid/x}]\n"
	result := b.dryRun(nil, dryRunChart(t, map[string]any{"extra": fmt.Sprintf(job, "app")}))
	if len(result.Refusals) > 0 {
		t.Errorf("refused: %+v", result.Refusals)
	}
	result = b.dryRun(nil, dryRunChart(t, map[string]any{"extra": fmt.Sprintf(job, "nobody")}))
	if len(result.Refusals) != 1 || result.Refusals[0].Object != "batch/v1/Job/migrate" {
		t.Fatalf("result is %+v", result)
	}
	wantText(t, result.Refusals[0].Message, "its pods would be refused", "nobody")
}

func TestDryRun_NamespaceMissing(t *testing.T) {
	b := newBench(t)
	next := rendered(t, dryRunChart(t, nil), b.options(true, 1))
	target := b.target
	target.Handle.Namespace = "slipway-is-not-there"
	_, err := dryrun.Run(t.Context(), target, nil, next, dryrun.Options{})
	wantError[*environment.NamespaceMissingError](t, err)
}

func TestDryRun_UnchangedObjectsCostNothing(t *testing.T) {
	spec := specOfFiles(t, map[string]string{"templates/one.yaml": configMapYAML("b")})
	next := rendered(t, spec, optionsOfInstall("live"))
	// There is no cluster to ask.
	result, err := dryrun.Run(t.Context(), Target{}, next.Objects, next, dryrun.Options{})
	if err != nil || len(result.Refusals)+len(result.Overwrites)+len(result.Skipped) > 0 {
		t.Errorf("result %+v, error %v", result, err)
	}
}
