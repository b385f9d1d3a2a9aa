// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	helmrelease "helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
)

// endpoints makes an apply wait for the endpoints of the release's Services.
type endpoints struct{ run *applyRun }

// before notes which ports have no ready endpoint before the first write: these may stay so. What a revision that failed has left is no
// measure: then those count that had none before it.
func (e endpoints) before(seen situation) error {
	a := e.run
	a.session.waiter.Endpoints = &rollout.Endpoints{}
	services := renderedServices(a.rendering)
	if len(services) == 0 && seen.condition == absent {
		return nil
	}
	without, err := rollout.Unserved(a.op.Context(), a.op.Reads, a.target.Handle.Namespace, func(s *corev1.Service) bool {
		return services[s.Name] || ownership.Owns(s.Annotations, a.target.Name, a.target.Handle.Namespace)
	})
	switch {
	case cluster.LacksRight(err) && len(services) == 0:
		return nil
	case cluster.LacksRight(err):
		return errEndpointsUnreadable(a.target, err)
	case err != nil:
		return a.target.Cluster.Classify(err)
	}
	if last := a.found.Content; last != nil && seen.last.number != 0 && seen.last.status != helmrelease.StatusDeployed {
		without = slices.DeleteFunc(without, func(port string) bool { return !slices.Contains(last.Unserved, port) })
	}
	a.session.waiter.Endpoints.Without = without
	return nil
}

// renderedServices are the names of the Services in the release's namespace that select pods.
func renderedServices(r *render.Result) map[string]bool {
	out := map[string]bool{}
	for key, o := range r.ByKey {
		apiVersion, kind, namespace, name := key.Parts()
		spec, _ := o.Object["spec"].(map[string]any)
		selector, _ := spec["selector"].(map[string]any)
		if apiVersion == "v1" && kind == "Service" && namespace == "" && !o.Hook && len(selector) > 0 {
			out[name] = true
		}
	}
	return out
}

// errEndpointsUnreadable says that it cannot be seen whether the Services of a release work.
func errEndpointsUnreadable(target Target, cause error) error {
	return &explain.Error{
		Happened: fmt.Sprintf("Cannot read the endpoints of the Services of release %s: %s.", target.Name, cluster.AnswerText(cause)),
		Observed: "Nothing was written. An apply succeeds only if each Service has a ready endpoint.",
		Advice: fmt.Sprintf("Grant the right to list services, pods and endpointslices.discovery.k8s.io in namespace %s, and apply again.",
			target.Handle.Namespace),
		Cause: cause,
	}
}

// Connections is what a plan says about a rendering whose objects select pods and Services by labels.
type Connections struct {
	// Unmatched are sentences about objects that select nothing, by the rendering and by what the cluster has.
	Unmatched []string
	// Unserved are ports of running Services that have no ready endpoint now, for example "web:http".
	Unserved []string
	// Unread says why the cluster was not asked, empty where it was: then Unmatched is about the rendering alone.
	Unread string
}

// ReviewConnections compares what the objects of a rendering select with the rendering and with the cluster. It only reads.
func ReviewConnections(ctx context.Context, target Target, next *render.Result) Connections {
	out := Connections{}
	unmatched := render.FindUnmatched(next)
	services := renderedServices(next)
	if len(unmatched) == 0 && len(services) == 0 {
		return out
	}
	client, err := target.Cluster.Kubernetes()
	if err == nil && len(services) > 0 {
		out.Unserved, err = rollout.Unserved(ctx, client, target.Handle.Namespace, func(s *corev1.Service) bool {
			return services[s.Name] && s.Annotations[rollout.AnnotationEndpoints] != rollout.EndpointsOptional
		})
	}
	for _, u := range unmatched {
		there := false
		if err == nil {
			there, err = rollout.Selected(ctx, client, cmp.Or(u.Namespace, target.Handle.Namespace), u.Kind, u.Name, u.Selector)
		}
		if !there {
			out.Unmatched = append(out.Unmatched, u.Object.Short()+": "+u.Text+".")
		}
	}
	if err != nil {
		out.Unread = next.Secrets.Text(cluster.AnswerText(err))
	}
	return out
}
