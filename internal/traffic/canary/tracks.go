// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package canary

import (
	"context"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
)

// tracks reads the pods of both tracks. Errors of all methods: *pods.ServiceMissingError, others as from cluster.Classify.
type tracks struct {
	reader         pods.Reader
	stable, canary pods.Track
}

// capacity counts the pods of both.
func (t tracks) capacity(ctx context.Context) (pods.Capacity, error) {
	return t.reader.Capacity(ctx, t.stable, t.canary)
}

// content names the version that runs on the canary track, empty where there is none.
func (t tracks) content(ctx context.Context) (string, error) {
	wanted, err := t.reader.Labels(ctx, t.canary)
	if err != nil {
		return "", err
	}
	return t.reader.Content(ctx, wanted)
}

// lister lists the canary's pods for an analysis.
func (t tracks) lister(ctx context.Context) (analysis.PodLister, error) {
	wanted, err := t.reader.Labels(ctx, t.canary)
	if err != nil {
		return nil, err
	}
	return &analysis.SelectedPods{Client: t.reader.Client, Namespace: t.reader.Namespace, Selector: labels.Set(wanted).String()}, nil
}
