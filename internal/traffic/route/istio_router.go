// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"cmp"
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
)

// defaultSettle is longer than istiod gathers changes before it updates the proxies (100 ms, at most 10 s under a storm of changes).
const defaultSettle = 2 * time.Second

// istioRouter divides a route of a VirtualService, and keeps the subsets that it refers to.
type istioRouter struct {
	*router
	subsets *subsets
	settle  time.Duration
}

// NewIstio makes the router for a route of an Istio VirtualService. It sends no request. Client is the one to write with, for example
// one that stops writing when the namespace's Lease is lost; nil is the cluster's. The caller holds the Lease. Errors: *InvalidError.
func NewIstio(c *cluster.Cluster, client dynamic.Interface, config IstioConfig) (Router, error) {
	name := cmp.Or(config.VirtualService, config.Owner.Name)
	if problems := config.Validate(); len(problems) > 0 {
		return nil, &InvalidError{Object: virtualServices.name + " " + name, Problems: problems}
	}
	access, err := newObjects(c, client, config.Owner.Handle)
	if err != nil {
		return nil, err
	}
	speaks := istio{host: config.Host, namespace: config.Owner.Handle.Namespace, stable: config.stableSubset(), canary: config.canarySubset()}
	route := cmp.Or(config.Route, config.Owner.Name)
	out := &istioRouter{
		router: &router{
			objects: access, owner: config.Owner, kind: virtualServices, dialect: speaks, name: name, shared: config.Route != "",
			ref:   reference{name: route, header: headerRouteName(config.Owner)},
			plain: map[string]any{"name": route, "route": []any{map[string]any{"destination": map[string]any{"host": config.Host}}}},
			spec:  map[string]any{"hosts": texts(append([]string{config.Host}, config.Hosts...))},
		},
		settle: config.Settle,
	}
	if len(config.Gateways) > 0 {
		out.spec["gateways"] = texts(config.Gateways)
	}
	if out.settle == 0 {
		out.settle = defaultSettle
	}
	out.subsets = &subsets{
		router: out.router, host: config.Host, name: cmp.Or(config.DestinationRule, config.Owner.Name),
		wanted: []subset{
			{name: config.stableSubset(), labels: config.Stable.Labels},
			{name: config.canarySubset(), labels: config.Canary.Labels},
		},
	}
	return out, nil
}

func texts(values []string) []any {
	out := make([]any, 0, len(values))
	for _, value := range values {
		out = append(out, value)
	}
	return out
}

func (r *istioRouter) Read(ctx context.Context) (Observed, error) {
	seen, err := r.router.Read(ctx)
	if err != nil {
		return Observed{}, err
	}
	if err := r.subsets.load(ctx); err != nil {
		return Observed{}, err
	}
	if !seen.Managed {
		return seen, nil
	}
	changed := r.subsets.changed()
	seen.Drift = append(seen.Drift, changed...)
	seen.Version = digest([]any{seen.Version, changed})
	return seen, nil
}

// Prepare makes the subsets: proxies answer 503 for one that they do not know.
func (r *istioRouter) Prepare(ctx context.Context, split Split) (written bool, err error) {
	if r.subsets.read && len(r.subsets.changed()) == 0 {
		return false, nil
	}
	return r.prepare(ctx, split)
}

// Set makes the subsets before the route that refers to them.
func (r *istioRouter) Set(ctx context.Context, split Split) error {
	if _, err := r.prepare(ctx, split); err != nil {
		return err
	}
	return r.set(ctx, split)
}

func (r *istioRouter) prepare(ctx context.Context, split Split) (written bool, err error) {
	if !r.read {
		if err := r.load(ctx); err != nil {
			return false, err
		}
	}
	// What will be refused is refused before anything is written.
	if err := r.check(ctx, split); err != nil {
		return false, err
	}
	if written, err = r.subsets.ensure(ctx); err != nil || !written {
		return false, err
	}
	return true, r.wait(ctx)
}

// check makes the plan of a Set without carrying it out.
func (r *istioRouter) check(ctx context.Context, split Split) error {
	r.checked = false
	if problems := ValidateSplit(split); len(problems) > 0 {
		return &InvalidError{Object: r.Object(), Problems: problems}
	}
	if r.live == nil {
		if r.shared {
			return &MissingError{Object: r.object()}
		}
		if err := r.guard(ctx); err != nil {
			return err
		}
		return findRival(ctx, r.router, func(*unstructured.Unstructured) bool { return false })
	}
	_, _, err := r.plan(ctx, r.live, split)
	return err
}

// Restore takes the route away before the subsets that it refers to.
func (r *istioRouter) Restore(ctx context.Context) error {
	before := r.version()
	if err := r.router.Restore(ctx); err != nil {
		return err
	}
	err := r.subsets.load(ctx)
	var missing *KindMissingError
	if errors.As(err, &missing) {
		return nil
	}
	if err != nil {
		return err
	}
	if !r.subsets.any() {
		return nil
	}
	if gone, err := r.gone(ctx); gone || err != nil {
		return err
	}
	if r.version() != before {
		if err := r.wait(ctx); err != nil {
			return err
		}
	}
	return r.subsets.drop(ctx)
}

// version is that of the object that was read last, empty where there is none.
func (r *istioRouter) version() string {
	if r.live == nil {
		return ""
	}
	return r.live.GetResourceVersion()
}

func (r *istioRouter) wait(ctx context.Context) error {
	if r.settle < 0 {
		return nil
	}
	timer := time.NewTimer(r.settle)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// unfit says what a shared route that nobody divides yet cannot be divided for. Errors: *ShapeError.
func (r *istioRouter) unfit(ctx context.Context) error {
	if r.live == nil || !r.shared {
		return nil
	}
	if annotated, err := readAnnotations(r.live); err != nil || len(annotated) > 0 {
		return err
	}
	_, _, err := r.plan(ctx, r.live, Split{})
	var shape *ShapeError
	if errors.As(err, &shape) {
		return shape
	}
	return nil // What else there is may be right by then.
}
