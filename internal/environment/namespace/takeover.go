// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package namespace

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// Takeover is what Ensure finds in a namespace that exists, as a plan shows it.
type Takeover struct {
	// Unclaimed says that the namespace carries no owner's labels. Ensure writes them.
	Unclaimed bool
	// Workloads run in it: "Deployment/web (2 pods)". They are read where the namespace is unclaimed.
	Workloads []string
	// Effects are sentences on what Ensure changes for pods that run: they lose requests, or would not be created again.
	Effects []string
}

// takeover looks at what runs in the namespace. What the plan's credentials may not read is left out.
func takeover(
	ctx context.Context, c *cluster.Cluster, client dynamic.Interface, spec Spec, namespace *unstructured.Unstructured,
) (Takeover, error) {
	out := Takeover{Unclaimed: environment.Unclaimed(namespace.GetLabels())}
	pods, err := runningPods(ctx, c, spec.Handle.Namespace)
	if cluster.LacksRight(err) {
		return out, nil
	}
	if err != nil || len(pods) == 0 {
		return out, err
	}
	if out.Unclaimed {
		out.Workloads = workloads(pods)
	}
	e := effects{cluster: c, client: client, spec: spec, namespace: namespace, pods: pods}
	for _, find := range []func(context.Context) ([]string, error){e.network, e.quota, e.limits, e.podSecurity, e.account} {
		found, err := find(ctx)
		if err != nil && !cluster.LacksRight(err) {
			return out, err
		}
		out.Effects = append(out.Effects, found...)
	}
	return out, nil
}

func runningPods(ctx context.Context, c *cluster.Cluster, namespace string) ([]corev1.Pod, error) {
	client, err := c.Kubernetes()
	if err != nil {
		return nil, err
	}
	list, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, c.Classify(fmt.Errorf("listing the pods of namespace %s: %w", namespace, err))
	}
	return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool {
		return p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	}), nil
}

// workloads names what the pods belong to.
func workloads(pods []corev1.Pod) []string {
	counts := map[string]int{}
	for i := range pods {
		counts[workloadOf(&pods[i])]++
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		plural := "s"
		if counts[name] == 1 {
			plural = ""
		}
		out = append(out, fmt.Sprintf("%s (%d pod%s)", name, counts[name], plural))
	}
	return out
}

func workloadOf(pod *corev1.Pod) string {
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		return "Pod/" + pod.Name
	}
	if hash := pod.Labels["pod-template-hash"]; owner.Kind == "ReplicaSet" && hash != "" {
		if name, ok := strings.CutSuffix(owner.Name, "-"+hash); ok {
			return "Deployment/" + name
		}
	}
	return owner.Kind + "/" + owner.Name
}

// effects are what the objects of an environment do to pods that run.
type effects struct {
	cluster   *cluster.Cluster
	client    dynamic.Interface
	spec      Spec
	namespace *unstructured.Unstructured
	pods      []corev1.Pod
}

// network names the workloads that a new NetworkPolicy isolates.
func (e effects) network(ctx context.Context) ([]string, error) {
	var out []string
	isolated := slices.DeleteFunc(slices.Clone(e.pods), func(p corev1.Pod) bool { return p.Spec.HostNetwork })
	if len(isolated) == 0 {
		return nil, nil
	}
	policies := e.spec.Network.policies(e.spec.Handle.Database)
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		live, err := get(ctx, e.cluster, e.client, e.spec.Handle.Namespace, networkPolicies, name)
		if err != nil {
			return out, err
		}
		if live != nil {
			continue
		}
		what := `ingress = "deny" isolates pods that run: only what the network presets open reaches them from outside the namespace`
		if name == egressPolicy {
			what = `egress = "deny" isolates pods that run: they reach only what the network presets open outside the namespace`
		}
		out = append(out, fmt.Sprintf("network.%s. Isolated are %s.", what, strings.Join(workloads(isolated), ", ")))
	}
	return out, nil
}

// quota finds what runs already beyond the ResourceQuota.
func (e effects) quota(ctx context.Context) ([]string, error) {
	live, err := get(ctx, e.cluster, e.client, e.spec.Handle.Namespace, quotas, quotaName)
	if err != nil || live != nil && sameQuota(specOf(live), map[string]any{"hard": anyMap(e.spec.Quota)}) {
		return nil, err
	}
	used := usage(e.pods)
	var out []string
	for _, name := range slices.Sorted(maps.Keys(e.spec.Quota)) {
		amount, counted := used[corev1.ResourceName(name)]
		hard, ok := quantity(e.spec.Quota[name])
		if counted && ok && amount.Cmp(hard) > 0 {
			out = append(out, fmt.Sprintf("resource_quota: %s is %s, and the pods that run have %s. Pods that end are not created again, "+
				"and a rollout does not start.", name, e.spec.Quota[name], amount.String()))
		}
	}
	if len(out) == 0 {
		out = append(out, e.unbounded()...)
	}
	return out, nil
}

// unbounded names workloads that a quota on CPU or memory refuses, since they do not say what they need.
func (e effects) unbounded() []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(e.spec.Quota)) {
		part, of, found := strings.Cut(name, ".")
		if !found {
			part, of = "requests", name
		}
		if of != string(corev1.ResourceCPU) && of != string(corev1.ResourceMemory) || part != "requests" && part != "limits" {
			continue
		}
		if l := e.spec.LimitRange; l != nil && (part == "requests" && (l.DefaultRequest[of] != "" || l.Default[of] != "" || l.Max[of] != "") ||
			part == "limits" && (l.Default[of] != "" || l.Max[of] != "")) {
			continue
		}
		var silent []corev1.Pod
		for _, pod := range e.pods {
			if slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool { return !says(c.Resources, part, corev1.ResourceName(of)) }) {
				silent = append(silent, pod)
			}
		}
		if len(silent) > 0 {
			out = append(out, fmt.Sprintf("resource_quota: with a quota on %s, pods without %s for %s are refused. Those of %s are not created "+
				"again. Set them in the workloads, or limit_range.default_request.", name, part, of, strings.Join(workloads(silent), ", ")))
		}
	}
	return out
}

// limits names the workloads whose containers are outside the LimitRange.
func (e effects) limits(ctx context.Context) ([]string, error) {
	if e.spec.LimitRange == nil {
		return nil, nil
	}
	live, err := get(ctx, e.cluster, e.client, e.spec.Handle.Namespace, limitRanges, limitRangeName)
	if err != nil || live != nil {
		return nil, err
	}
	var out []string
	for _, bound := range []struct {
		name   string
		values map[string]string
		broken func(corev1.ResourceRequirements, corev1.ResourceName, string) bool
	}{{"max", e.spec.LimitRange.Max, above}, {"min", e.spec.LimitRange.Min, below}} {
		for _, of := range slices.Sorted(maps.Keys(bound.values)) {
			var outside []corev1.Pod
			for _, pod := range e.pods {
				if slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool {
					return bound.broken(c.Resources, corev1.ResourceName(of), bound.values[of])
				}) {
					outside = append(outside, pod)
				}
			}
			if len(outside) > 0 {
				out = append(out, fmt.Sprintf("limit_range: containers of %s are outside %s.%s = %s. Their pods are not created again.",
					strings.Join(workloads(outside), ", "), bound.name, of, bound.values[of]))
			}
		}
	}
	return out, nil
}

// podSecurity asks the API server which pods violate the level that is to be enforced: it answers a dry run with warnings.
func (e effects) podSecurity(ctx context.Context) ([]string, error) {
	want := e.spec.PodSecurity.Enforce
	if want == "" || podSecurityFrom(e.namespace.GetLabels()).Enforce == want {
		return nil, nil
	}
	said := &warnings{}
	config := e.cluster.RESTConfig()
	config.WarningHandler, config.WarningHandlerWithContext = said, nil
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	object := newObject(namespaces, e.spec.Handle.Namespace, map[string]string{podSecurityPrefix + "enforce": want}, nil, nil)
	_, err = client.Resource(namespaces).Apply(ctx, object.GetName(), object,
		metav1.ApplyOptions{FieldManager: environment.FieldManager + "-plan", Force: true, DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return nil, e.cluster.Classify(fmt.Errorf("trying the Pod Security level %s on namespace %s: %w", want, object.GetName(), err))
	}
	if len(said.texts) == 0 {
		return nil, nil
	}
	return []string{fmt.Sprintf("namespace.pod_security.enforce = %q: pods that run violate it, and are not created again. %s", want,
		strings.Join(said.texts, "; "))}, nil
}

// warnings collects what the API server says about a request.
type warnings struct{ texts []string }

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _, text string) { w.texts = append(w.texts, text) }

// account names what changes for pods of a ServiceAccount that exists.
func (e effects) account(ctx context.Context) ([]string, error) {
	account := e.spec.ServiceAccount
	if account == nil {
		return nil, nil
	}
	live, err := get(ctx, e.cluster, e.client, e.spec.Handle.Namespace, serviceAccounts, account.Name)
	if err != nil || live == nil || live.GetLabels()[labelPartOf] == partEnvironment {
		return nil, err
	}
	users := slices.DeleteFunc(slices.Clone(e.pods), func(p corev1.Pod) bool { return p.Spec.ServiceAccountName != account.Name })
	if len(users) == 0 {
		return nil, nil
	}
	var out []string
	wanted := account.annotations()
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		was, there := live.GetAnnotations()[key]
		if !there {
			was = "none"
		}
		if was != wanted[key] {
			out = append(out, fmt.Sprintf("service_account: annotation %s of ServiceAccount %s changes from %s to %s. Pods that are created "+
				"from then on have it: %s.", key, account.Name, was, wanted[key], strings.Join(workloads(users), ", ")))
		}
	}
	return out, nil
}
