// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/action"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// Each case breaks an upgrade of a release that works, looks at the error, and then applies what works again.
func TestApply_SaysWhatKeptARolloutFromBecomingReady(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		broken  map[string]any
		timeout time.Duration
		want    []string
	}{
		{
			name:   "an image that cannot be pulled",
			broken: map[string]any{"image": "registry.company.com/data-collection:v9.9.9"},
			want:   []string{"Deployment/app", "container app", "ErrImagePull", "v9.9.9", "event "},
		},
		{
			name:   "a crash loop",
			broken: map[string]any{"args": []any{"no-such-command"}},
			want:   []string{"CrashLoopBackOff", "last exit code", "last lines of container app", "no-such-command", "BackOff"},
		},
		{
			name:    "a service that never becomes ready",
			broken:  map[string]any{"readinessPath": "/not-there"},
			timeout: 30 * time.Second,
			want: []string{"not done after 30s", "waiting for 1 object to become ready", "1 of 1 pods updated, 1 available, 1 old still there",
				"runs, but is not ready", "Readiness probe failed"},
		},
		{
			name: "a missing secret",
			broken: map[string]any{"env": []any{map[string]any{"name": "TOKEN",
				"valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": "nowhere", "key": "token"}}}}},
			want: []string{"CreateContainerConfigError", "nowhere"},
		},
		{
			name:   "a pod that fits on no node",
			broken: map[string]any{"resources": map[string]any{"requests": map[string]any{"cpu": "900"}}},
			want:   []string{"finds no node", "Insufficient cpu"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.mustApply(with(t))
			limit := 3 * time.Minute
			if tc.timeout != 0 {
				limit = tc.timeout
			}
			_, err := b.apply(t.Context(), with(t, tc.broken), timeout(limit))
			if err == nil {
				t.Fatal("it did not fail")
			}
			if tc.timeout != 0 {
				wantError[*DeadlineError](t, err)
			} else {
				wantError[*RolloutError](t, err)
			}
			wantText(t, err.Error(), tc.want...)
			seen := b.wantEnd(2, "failed", record.Failed)
			if seen.Deployed != 1 || !strings.Contains(seen.Record.Failure, "Deployment/app") || len(seen.Record.Failure) > record.MaxFailure+3 {
				t.Errorf("the record does not say what failed: %+v", seen.Record)
			}
			b.mustApply(with(t, config("debug")))
			b.wantEnd(3, "deployed", record.Deployed)
		})
	}
}

func TestApply_SaysWhyPodsAreRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "small"}, Spec: corev1.ResourceQuotaSpec{
		Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("1")},
	}}
	if _, err := b.client.CoreV1().ResourceQuotas(b.namespace()).Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := b.apply(t.Context(), with(t, map[string]any{"replicas": 2}))
	wantError[*RolloutError](t, err)
	wantText(t, err.Error(), "exceeded quota: small", "pods=1")

	// A Job has no condition for it: only its events show it.
	if err := b.client.AppsV1().Deployments(b.namespace()).Delete(t.Context(), "app", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	quota.Spec.Hard[corev1.ResourcePods] = resource.MustParse("0")
	if _, err := b.client.CoreV1().ResourceQuotas(b.namespace()).Update(t.Context(), quota, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	b.eventually("no pods", func() bool {
		pods, err := b.client.CoreV1().Pods(b.namespace()).List(t.Context(), metav1.ListOptions{})
		return err == nil && len(pods.Items) == 0
	})
	_, err = b.apply(t.Context(), with(t, jobHook("migrate", "pre-install,pre-upgrade", "sleep", "1s")))
	hook := asError[*HookError](t, err)
	if hook.Event != "pre-install" {
		t.Errorf("the hook's event is %q", hook.Event)
	}
	wantText(t, err.Error(), "Job/app-migrate", "exceeded quota")
}

func TestApply_SaysWhichObjectAnAdmissionPolicyRefuses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	fail := admissionv1.Fail
	policy := &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: b.namespace()},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			FailurePolicy: &fail,
			MatchConstraints: &admissionv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": b.namespace()}},
				ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
					Rule:       admissionv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}},
				}}},
			},
			Validations: []admissionv1.Validation{{Expression: "object.spec.replicas < 2", Message: "one replica is enough"}},
		},
	}
	policies := b.client.AdmissionregistrationV1().ValidatingAdmissionPolicies()
	if _, err := policies.Create(t.Context(), policy, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	bindings := b.client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings()
	t.Cleanup(func() {
		_ = bindings.Delete(context.Background(), policy.Name, metav1.DeleteOptions{})
		_ = policies.Delete(context.Background(), policy.Name, metav1.DeleteOptions{})
	})
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: policy.ObjectMeta,
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: policy.Name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		}}
	if _, err := bindings.Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	// The API server takes a moment to learn of a policy.
	probe := deploymentForPolicy()
	b.eventually("the policy is at work", func() bool {
		_, err := b.client.AppsV1().Deployments(b.namespace()).Create(t.Context(), probe,
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err != nil && strings.Contains(err.Error(), "one replica is enough")
	})

	_, err := b.apply(t.Context(), with(t, map[string]any{"replicas": 2}))
	refused := asError[*RolloutError](t, err)
	if !refused.Refused {
		t.Error("it is not called refused")
	}
	wantText(t, err.Error(), "Deployment/app", "one replica is enough")
	b.wantEnd(1, "failed", record.Failed)
	outcome := b.mustApply(with(t))
	if len(outcome.Recovered) != 1 {
		t.Errorf("it does not say that a failed install was taken over: %v", outcome.Recovered)
	}
	b.wantEnd(2, "deployed", record.Deployed)
}

func TestApply_LeavesAReleaseOfOthersAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.foreignInstall(with(t), "app")
	_, err := b.apply(t.Context(), with(t, config("debug")))
	wantError[*ownership.Error](t, err)
	wantText(t, err.Error(), "not made by Slipway", "Import it")
	if got := b.liveLevel(); got != "info" {
		t.Errorf("it was changed: %s", got)
	}

	// What the state says is ours, after an import, is.
	b.uid = mustUID(t, b)
	b.mustApply(with(t, config("debug")))
	b.wantEnd(2, "deployed", record.Deployed)
}

func TestApply_LeavesObjectsOfOtherReleasesAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	mine := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Data: map[string]string{"level": "mine"}}
	if _, err := b.client.CoreV1().ConfigMaps(b.namespace()).Create(t.Context(), mine, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := b.apply(t.Context(), with(t))
	wantError[*ownership.Error](t, err)
	wantText(t, err.Error(), `ConfigMap "app"`)
	if got := b.liveLevel(); got != "mine" {
		t.Errorf("it was changed: %s", got)
	}
}

func TestApply_TakesOverAFailedFirstInstall(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	broken := with(t, map[string]any{
		"readinessPath": "/not-there",
		"env":           []any{map[string]any{"name": "OLD", "value": "1"}},
		"extra":         []any{extraConfig("left-over")},
	}, jobHook("seed", "post-install", "sleep", "100ms"))
	_, err := b.apply(t.Context(), broken, timeout(20*time.Second))
	wantError[*DeadlineError](t, err)
	b.wantEnd(1, "failed", record.Failed)
	if seen := b.dryRun(nil, with(t)); len(seen.Overwrites) != 0 || len(seen.Refusals) != 0 {
		t.Errorf("the plan says that the take-over undoes what others did: %+v", seen)
	}

	outcome := b.mustApply(with(t, jobHook("seed", "post-install", "sleep", "100ms")))
	if outcome.Revision != 2 || len(outcome.Recovered) == 0 {
		t.Errorf("outcome: %+v", outcome)
	}
	b.wantEnd(2, "deployed", record.Deployed)
	if _, err := b.client.BatchV1().Jobs(b.namespace()).Get(t.Context(), "app-seed", metav1.GetOptions{}); err != nil {
		t.Errorf("the install hook did not run: %v", err)
	}
	d, err := b.client.AppsV1().Deployments(b.namespace()).Get(t.Context(), "app", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if env := d.Spec.Template.Spec.Containers[0].Env; len(env) != 0 {
		t.Errorf("what only the failed install set has stayed: %v", env)
	}
	if _, err := b.client.CoreV1().ConfigMaps(b.namespace()).Get(t.Context(), "left-over", metav1.GetOptions{}); err == nil {
		t.Error("what only the failed install made has stayed")
	}
}

func TestApply_CleansUpAfterAFailedUpgrade(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mustApply(with(t, map[string]any{"env": []any{map[string]any{"name": "KEPT", "value": "1"}}}))
	_, err := b.apply(t.Context(), with(t, map[string]any{
		"readinessPath": "/not-there",
		"env":           []any{map[string]any{"name": "OLD", "value": "1"}},
		"extra":         []any{extraConfig("left-over")},
	}), timeout(20*time.Second))
	wantError[*DeadlineError](t, err)

	// Nearly what was deployed before: Helm alone would leave OLD and left-over behind.
	b.mustApply(with(t, map[string]any{"env": []any{map[string]any{"name": "KEPT", "value": "2"}}}))
	b.wantEnd(3, "deployed", record.Deployed)
	d, err := b.client.AppsV1().Deployments(b.namespace()).Get(t.Context(), "app", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if env := d.Spec.Template.Spec.Containers[0].Env; len(env) != 1 || env[0].Name != "KEPT" || env[0].Value != "2" {
		t.Errorf("env is %v", env)
	}
	if _, err := b.client.CoreV1().ConfigMaps(b.namespace()).Get(t.Context(), "left-over", metav1.GetOptions{}); err == nil {
		t.Error("what only the failed upgrade made has stayed")
	}
}

func TestApply_FailsSoonWhenTheNamespaceGoes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	done := make(chan error, 1)
	go func() {
		_, err := b.apply(t.Context(), with(t, map[string]any{"readinessPath": "/not-there"}), timeout(10*time.Minute))
		done <- err
	}()
	b.eventually("the deployment is there", func() bool {
		_, err := b.client.AppsV1().Deployments(b.namespace()).Get(t.Context(), "app", metav1.GetOptions{})
		return err == nil
	})
	if err := b.client.CoreV1().Namespaces().Delete(t.Context(), b.namespace(), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	err := <-done
	wantText(t, err.Error(), "app")
	if _, waited := errors.AsType[*DeadlineError](err); waited {
		t.Errorf("it waited for what is gone until its time was over: %v", err)
	}
}

func TestApply_KeepsSecretsOutOfErrorsAndRecord(t *testing.T) {
	t.Parallel()
	const secret = "canary-4711-of-the-token"
	b := newBench(t)
	// The container writes the secret into its log and into its termination message, and an invalid object quotes it.
	for _, spec := range []Spec{
		{Sensitive: map[string]any{"args": []any{secret}, "token": secret}},
		{WriteOnly: map[string]any{"env": []any{map[string]any{"name": "LOG_LEVEL", "value": secret}}, "token": secret}},
		{WriteOnly: map[string]any{"token": secret, "extra": []any{map[string]any{
			"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": secret + "_is_no_name"},
			"spec": map[string]any{"ports": []any{map[string]any{"port": 80}}},
		}}}},
	} {
		full := with(t)
		full.Sensitive, full.WriteOnly = spec.Sensitive, spec.WriteOnly
		_, err := b.apply(t.Context(), full, timeout(20*time.Second))
		if err == nil {
			t.Fatal("it did not fail")
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the secret is in the error: %v", err)
		}
		wantText(t, err.Error(), "(sensitive value)")
		kept, err := b.client.CoreV1().ConfigMaps(b.namespace()).Get(t.Context(), record.OfRelease.Object("app"), metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(kept.Data["record"], secret) {
			t.Errorf("the secret is in the record: %s", kept.Data["record"])
		}
		wantText(t, kept.Data["record"], "secretPaths", "token")
	}
}

func extraConfig(name string) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name}}
}

func mustUID(t *testing.T, b *bench) string {
	t.Helper()
	uid, err := b.target.Cluster.UID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return uid
}

// foreignConfiguration is Helm as the helm program has it.
func (b *bench) foreignConfiguration() *action.Configuration {
	b.t.Helper()
	flags := genericclioptions.NewConfigFlags(false)
	file, namespace := harness.Kubeconfig(b.t), b.namespace()
	flags.KubeConfig, flags.Namespace = &file, &namespace
	cache := b.t.TempDir() // What the cluster serves changes in these tests.
	flags.CacheDir = &cache
	helm := new(action.Configuration)
	if err := helm.Init(flags, namespace, "secret", func(string, ...any) {}); err != nil {
		b.t.Fatal(err)
	}
	return helm
}

func (b *bench) foreignInstall(spec Spec, name string) {
	b.t.Helper()
	install := action.NewInstall(b.foreignConfiguration())
	install.ReleaseName, install.Namespace = name, b.namespace()
	chart, err := spec.Chart.Load()
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := install.Run(chart, spec.Values); err != nil {
		b.t.Fatal(err)
	}
}

func deploymentForPolicy() *appsv1.Deployment {
	two := int32(2)
	labels := map[string]string{"app": "probe"}
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "probe"}, Spec: appsv1.DeploymentSpec{
		Replicas: &two,
		Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "none"}}},
		},
	}}
}
