// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package drift compares the live objects of a release with what was rendered. It writes nothing.
package drift

import (
	"context"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
)

// Options say with what the live objects are compared.
type Options struct {
	// Rendered are the objects of the deployed revision as Rendering.Objects shows them. Nil: what Helm has stored of it, at the
	// cost of one request more.
	Rendered map[object.Key]string
	// Revision is the deployed one, see Observation.Deployed.
	Revision int
	// SecretPaths are those of the record.
	SecretPaths []string
	// Ignore are differences that are none. Replicas that a HorizontalPodAutoscaler sets, and caBundles that a controller injects
	// into webhooks and the like, never are.
	Ignore []object.IgnoreRule
}

// Difference is one leaf, or a whole object, that is not live as it was rendered.
type Difference struct {
	Object object.Key
	// Path is the leaf as in object.Drift; empty where the whole object is gone or not ours any more.
	Path string
	// Text says what is live and what was rendered ("3 → 2"), without secrets.
	Text string
	// Lasting says that Correct leaves it alone: the object belongs to another owner now, or its kind is not served any more.
	Lasting bool
}

// Differences are what Find found.
type Differences struct {
	// Found is sorted by object and path.
	Found []Difference
	// Skipped says in words what could not be compared and why.
	Skipped []string
}

// Find compares the live objects of a release with what was rendered. Fields that others added are no drift. It costs one GET for
// each object. Where something seems to differ, Helm's own patch is sent with dryRun=All, and only what the API server would
// really change is drift: not the effect of defaulting, of a webhook, or of another spelling of the same value. What seems to
// differ, and Secrets that others than Slipway have written, are compared with Helm's record at the cost of one more
// request. Values of secrets are never shown. Hooks are not compared. Nothing is written. Errors as from cluster.Classify.
func Find(ctx context.Context, target ownership.Release, options Options) (*Differences, error) {
	d, err := New(target, options)
	if err != nil {
		return nil, err
	}
	if err := d.Look(ctx); err != nil {
		return nil, target.Cluster.Classify(err)
	}
	return d.Differences(), nil
}

// IsLasting reports that a text is that of a Difference that Correct leaves alone, for who has kept only the text.
func IsLasting(text string) bool {
	return strings.HasPrefix(text, foreign) || strings.HasPrefix(text, notServed)
}
