// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package canary divides the requests to one host between a stable track and a canary, in planned steps, and rolls back when the
// canary fails.
package canary

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// DefaultQuarantine is Spec.Quarantine where it is zero.
const DefaultQuarantine = 24 * time.Hour

// Target is a route whose requests are divided between two tracks.
type Target struct {
	Cluster *cluster.Cluster
	Handle  environment.Handle
	// Name is that of the split, a DNS label.
	Name string
	// Route is where it is divided. Its Owner is filled in.
	Route route.Config
	// Adopt is the UID of an object that was imported; see route.Owner.
	Adopt string
}

func (t Target) owner(claim record.Claim) route.Owner {
	return route.Owner{Handle: t.Handle, Name: t.Name, InstanceID: claim.InstanceID, TakeOver: claim.Create, Adopt: t.Adopt}
}

// router makes the router of the target.
func (t Target) router(client dynamic.Interface, claim record.Claim) (route.Router, error) {
	return t.Route.Router(t.Cluster, client, t.owner(claim))
}

// place is where the record is.
func (t Target) place() record.Place {
	return record.Place{Cluster: t.Cluster, Handle: t.Handle, Kind: record.OfCanary, Name: t.Name}
}

// tracks returns a reader of the pods of both tracks.
func (t Target) tracks(client kubernetes.Interface) tracks {
	out := tracks{reader: pods.Reader{Cluster: t.Cluster, Client: client, Namespace: t.Handle.Namespace}}
	if i := t.Route.Istio; i != nil {
		service, _ := route.ServiceOfHost(i.Host, t.Handle.Namespace)
		out.stable = pods.Track{Service: service, Labels: i.Stable.Labels}
		out.canary = pods.Track{Service: service, Labels: i.Canary.Labels}
		return out
	}
	g := t.Route.Gateway
	out.stable, out.canary = pods.Track{Service: g.Stable.Service}, pods.Track{Service: g.Canary.Service}
	return out
}

// Validate checks a target without asking a cluster.
func (t Target) Validate() []route.Problem { return t.Route.Validate(t.owner(record.Claim{})) }

// Analyze watches the canary's pods until there is a verdict.
type Analyze func(ctx context.Context, watched Watched) (analysis.Verdict, error)

// Watched is what an analysis is about.
type Watched struct {
	// Pods are those of the canary.
	Pods analysis.PodLister
	// Split is what the route does.
	Split route.Split
	// Since is when an analysis that was interrupted had begun, zero for a new one.
	Since time.Time
	// Abort is asked whether a user wants the analysis to fail.
	Abort analysis.Abort
	// Lost returns why the analysis must stop although its context has not ended, nil while it may continue.
	Lost func() error
}

// Spec is what is wanted.
type Spec struct {
	// Weight is the percentage of requests that goes to the canary.
	Weight  int
	Headers []route.HeaderMatch
	// Steps are weights on the way up, each of which is analyzed.
	Steps []Step
	// Analyze may be nil. Policy names what it decides by.
	Analyze Analyze
	Policy  string
	// RetryToken is any text; another one than that of the run that failed releases its content from quarantine.
	RetryToken string
	// Quarantine is how long content that failed gets no more requests, DefaultQuarantine where zero.
	Quarantine time.Duration
}

func (s Spec) split() route.Split { return route.Split{Weight: s.Weight, Headers: s.Headers} }

// Step is a weight on the way.
type Step struct {
	// Weight is a percentage between 1 and 99.
	Weight int
	// Pause is how long requests flow before the step is analyzed.
	Pause time.Duration
}

// ValidateSteps checks that steps go upwards.
func ValidateSteps(steps []Step) []route.Problem {
	var out []route.Problem
	for i, step := range steps {
		field := fmt.Sprintf("step[%d].weight", i)
		switch {
		case step.Weight < 1 || step.Weight > 99:
			out = append(out, route.Problem{Field: field, Text: fmt.Sprintf("%d is no step; it must be between 1 and 99.", step.Weight)})
		case i > 0 && step.Weight <= steps[i-1].Weight:
			out = append(out, route.Problem{
				Field: field, Text: fmt.Sprintf("%d does not come after %d; steps go upwards.", step.Weight, steps[i-1].Weight),
			})
		}
	}
	return out
}

// PlannedSteps are the weights between two weights, the last one being that of "to". Downwards there is one: only what gets more requests
// than before is analyzed on the way.
func PlannedSteps(from, to int, steps []Step) []Step {
	var out []Step
	for _, step := range steps {
		if from < step.Weight && step.Weight < to {
			out = append(out, step)
		}
	}
	return append(out, Step{Weight: to})
}

// Options say for whom requests are moved.
type Options struct {
	// Claim is the resource in Terraform's state.
	Claim      record.Claim
	ClusterUID string
	// Planned is what the plan saw of the route; nil where it did not read it.
	Planned *Planned
	// Timeout is for the whole of it, analyses included.
	Timeout time.Duration
	// Progress may be nil.
	Progress func(string)
}

// Result is what Apply left, also with an error. Split is nil where the route could not be read.
type Result struct {
	Split      *route.Split
	ClusterUID string
}
