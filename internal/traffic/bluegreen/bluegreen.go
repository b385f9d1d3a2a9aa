// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package bluegreen switches a Service, or a route to it, between two colors of pods, and switches back when the new color fails.
package bluegreen

import (
	"context"
	"time"

	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// The two colors.
const (
	Blue  = "blue"
	Green = "green"
)

// DefaultLabel distinguishes the pods of the colors if the user names no other label.
const DefaultLabel = "slipway.dev/track"

// Defaults of Spec.
const (
	DefaultQuarantine = 24 * time.Hour
	// MinKeepPrevious is the least time for which the previous color stays: nodes pick up a switch with a short delay.
	MinKeepPrevious = 30 * time.Second
)

// Opposite is the other color.
func Opposite(color string) string {
	if color == Blue {
		return Green
	}
	return Blue
}

// Target is a Service whose selector says which color is live.
type Target struct {
	Cluster *cluster.Cluster
	Handle  environment.Handle
	// Service is the live one. It belongs to another owner: only Label in its selector is written.
	Service string
	// Preview is a Service of our own that has the pods of the color that is not live.
	Preview string
	// Label distinguishes the colors, on pods and in selectors; Values are its values by color, the color itself where there is none.
	Label  string
	Values map[string]string
	// Route makes the router of the route that is switched instead of the Service's selector; nil switches the selector. Blue is the
	// router's stable track, green its canary. A nil client is the cluster's own.
	Route func(client dynamic.Interface) (route.Router, error)
}

// value is what the label has on pods of a color.
func (t Target) value(color string) string {
	if value := t.Values[color]; value != "" {
		return value
	}
	return color
}

// color is whose value the label has; a value that is no color's stays as it is.
func (t Target) color(value string) string {
	for _, color := range []string{Blue, Green} {
		if t.value(color) == value {
			return color
		}
	}
	return value
}

// place is where the record is.
func (t Target) place() record.Place {
	return record.Place{Cluster: t.Cluster, Handle: t.Handle, Kind: record.OfBlueGreen, Name: t.Service}
}

// labels are those of the objects that belong to the switch.
func (t Target) labels() map[string]string {
	return map[string]string{
		environment.LabelClient: t.Handle.Client, environment.LabelStage: t.Handle.Stage,
		cluster.LabelManagedBy: cluster.FieldManager, record.LabelBlueGreen: t.Service,
	}
}

// Analyze watches pods of a color until there is a verdict.
type Analyze func(ctx context.Context, watched Watched) (analysis.Verdict, error)

// Watched is what an analysis is about.
type Watched struct {
	Pods analysis.PodLister
	// Since is when an analysis that was interrupted had begun, zero for a new one.
	Since time.Time
	// Abort is asked whether a user wants the analysis to fail.
	Abort analysis.Abort
	// Lost returns why the analysis must stop although its context has not ended, nil while it may continue.
	Lost func() error
}

// Spec is what is wanted.
type Spec struct {
	// Active is Blue or Green.
	Active string
	// Keep is how long the previous color stays scaled after a switch; nil keeps it until it is live again.
	Keep *time.Duration
	// RetryToken is any text; another one than that of the run that failed releases its content from quarantine.
	RetryToken string
	// Quarantine is how long content that failed is not switched to again, DefaultQuarantine where zero.
	Quarantine time.Duration
	// Before analyzes the new color on the preview Service, After when it is live. Nil does not analyze.
	Before, After Analyze
	// Policy names what they decide by.
	Policy string
}

// Options say for whom a switch is made.
type Options struct {
	// Claim is the resource in Terraform's state.
	Claim      record.Claim
	ClusterUID string
	// Planned is the live color that the plan saw, as in Result; nil where it saw none. What others made live since is not overwritten.
	Planned *string
	// Timeout is for the whole of it, analyses included.
	Timeout time.Duration
	// Progress may be nil.
	Progress func(string)
}

// Result is what Apply left, also with an error. Active is empty where the cluster could not be asked.
type Result struct {
	Active     string
	ClusterUID string
}
