// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
)

// releasePods is the health check by the pods of all workloads of a release. A workload's selector is enough to find the pods of the
// revision that is analyzed: the rollout is over, so that all its pods are of the present template, and those that are ending do not count.
type releasePods struct {
	workloads []podsOfWorkload
}

type podsOfWorkload struct {
	name string
	*analysis.PodReadiness
}

// newReleasePods finds the workloads in the stored manifest. Those that want no pods (scaled to zero, no node for a DaemonSet) are left
// out. Errors: *AnalysisConfigError where the release has no workload; others as from Classify.
func newReleasePods(ctx context.Context, env Environment, check PodsCheck) (*releasePods, error) {
	objects, err := object.ParseManifest(env.Release.Manifest, env.Target.Handle.Namespace)
	if err != nil {
		return nil, fmt.Errorf("reading the objects of revision %d: %w", env.Release.Version, err)
	}
	client, err := env.Target.Cluster.Kubernetes()
	if err != nil {
		return nil, err
	}
	out, found := &releasePods{}, false
	for _, o := range objects {
		apiVersion, kind, namespace, name := o.Key.Parts()
		if !IsPodWorkload(apiVersion, kind) {
			continue
		}
		found = true
		if namespace == "" {
			namespace = env.Target.Handle.Namespace
		}
		wants, err := wantsPods(ctx, client, kind, namespace, name)
		if err != nil {
			return nil, cluster.Classify(fmt.Errorf("reading %s: %w", o.Key.Short(), err))
		}
		if !wants {
			continue
		}
		selector, err := rollout.SelectorOf(&unstructured.Unstructured{Object: o.Object})
		if err != nil {
			return nil, err
		}
		pods := &analysis.SelectedPods{Client: client, Namespace: namespace, Selector: selector}
		if err := pods.Validate(); err != nil {
			return nil, fmt.Errorf("finding the pods of %s: %w", o.Key.Short(), err)
		}
		out.workloads = append(out.workloads, podsOfWorkload{name: o.Key.Short(), PodReadiness: &analysis.PodReadiness{
			Name: podsCheck, Pods: pods, MinReady: check.MinReady, Grace: check.Grace,
		}})
	}
	if !found {
		return nil, noWorkloads()
	}
	return out, nil
}

// wantsPods reports that a workload is to have pods. One that is not there is to have them: its absence must show.
func wantsPods(ctx context.Context, client kubernetes.Interface, kind, namespace, name string) (bool, error) {
	wanted := int32(1)
	var err error
	switch kind {
	case "Deployment":
		d, getErr := client.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
		if err = getErr; err == nil && d.Spec.Replicas != nil {
			wanted = *d.Spec.Replicas
		}
	case "StatefulSet":
		s, getErr := client.AppsV1().StatefulSets(namespace).Get(ctx, name, metav1.GetOptions{})
		if err = getErr; err == nil && s.Spec.Replicas != nil {
			wanted = *s.Spec.Replicas
		}
	case "DaemonSet":
		d, getErr := client.AppsV1().DaemonSets(namespace).Get(ctx, name, metav1.GetOptions{})
		if err = getErr; err == nil {
			wanted = d.Status.DesiredNumberScheduled
		}
	}
	if cluster.IsNotFound(err) {
		return true, nil
	}
	return wanted > 0, err
}

// Check implements analysis.Sampler.
func (p *releasePods) Check() string { return podsCheck }

// Sample implements analysis.Sampler. The worst workload decides.
func (p *releasePods) Sample(ctx context.Context) analysis.Sample {
	if len(p.workloads) == 0 {
		return analysis.Sample{Kind: analysis.NoData, Evidence: "no workload of the release wants pods"}
	}
	order := []analysis.Kind{analysis.Fail, analysis.Error, analysis.NoData, analysis.Pass}
	worst := analysis.Pass
	texts := map[analysis.Kind][]string{}
	for _, w := range p.workloads {
		s := w.Sample(ctx)
		texts[s.Kind] = append(texts[s.Kind], w.name+": "+s.Evidence)
		if slices.Index(order, s.Kind) < slices.Index(order, worst) {
			worst = s.Kind
		}
	}
	return analysis.Sample{Kind: worst, Evidence: strings.Join(texts[worst], "; ")}
}
