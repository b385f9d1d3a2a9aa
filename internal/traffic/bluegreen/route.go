// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"fmt"
	"net/http"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// weightOfGreen is what a route sends to green when a color is live.
func weightOfGreen(color string) int {
	if color == Green {
		return 100
	}
	return 0
}

// lookAtRoute reads which color the route sends requests to. The Service must have the pods of both colors then.
func (b *blueGreen) lookAtRoute(ctx context.Context, client dynamic.Interface) error {
	if b.route == nil && b.service.has {
		return &SelectedColorError{Service: b.target.Service, Label: b.target.Label, Color: b.service.color}
	}
	made, err := b.target.Route(client)
	if err != nil {
		return err
	}
	seen, err := made.Read(ctx)
	if err != nil {
		return err
	}
	b.route = made
	b.service.color, b.service.has = "", false
	if !seen.Exists || !seen.Managed {
		return nil
	}
	b.service.has = true
	switch seen.Split.Weight {
	case 0:
		b.service.color = Blue
	case 100:
		b.service.color = Green
	default:
		b.service.color = fmt.Sprintf("%d%% green", seen.Split.Weight)
	}
	return nil
}

// set makes a color live; nil takes the color out of the selector.
func (b *blueGreen) set(ctx context.Context, client kubernetes.Interface, color *string) error {
	if b.route == nil {
		return b.service.set(ctx, client, b.target, color)
	}
	if err := b.route.Set(ctx, route.Split{Weight: weightOfGreen(*color)}); err != nil {
		return err
	}
	b.service.color, b.service.has = *color, true
	return nil
}

// inEffect waits until a color that was made live is the only one behind the Service. What a route does is known to proxies alone: then it
// is enough that the color has a ready pod.
func (b *blueGreen) inEffect(ctx context.Context, color string) error {
	if b.route == nil {
		return b.onlyPodsOf(ctx, b.target.Service, color, 1)
	}
	return b.wait(ctx, color+" has a ready pod", func() (string, error) {
		own, err := b.podsOf(ctx, &color)
		if err != nil {
			return "", err
		}
		for i := range own {
			if pods.Ready(&own[i]) {
				return "", nil
			}
		}
		return "It has none." + pods.NotReady(own), nil
	})
}

// gatedDynamic is refused mutations once ctx has ended or the Lease is lost.
func gatedDynamic(ctx context.Context, c *cluster.Cluster, lease *cluster.Lease) (dynamic.Interface, error) {
	config := c.RESTConfig()
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return cluster.Gate(ctx, lease, next) })
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return client, nil
}

// SelectedColorError says that the Service has the pods of one color only, so that no route can reach the other through it.
type SelectedColorError struct{ Service, Label, Color string }

// Explain returns the three parts of the error.
func (e *SelectedColorError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Service %s cannot have its route switched.", e.Service),
		fmt.Sprintf("Its selector has %s for %s, so that it never has the pods of the other color.", e.Label, e.Color),
		fmt.Sprintf("Take %s out of the selector once the route leads to %s: kubectl patch service %s --type merge -p '{\"spec\":{\"selector\":{%q:null}}}'.", e.Label, e.Color, e.Service, e.Label)
}

func (e *SelectedColorError) Error() string { return explain.Text(e.Explain()) }
