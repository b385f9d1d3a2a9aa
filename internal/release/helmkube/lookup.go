// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package helmkube

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// LookupError says that a template reads what is not the release's with the function lookup. Nothing was read or written.
type LookupError struct {
	Release string
	// Own is the release's namespace, Namespace the one that a template reads; empty where it reads all of them.
	Own, Namespace string
	// Resource is what it reads, for example "secrets".
	Resource string
}

// Explain returns the paragraphs of the error.
func (e *LookupError) Explain() (happened, observed, advice string) {
	where, allow := "namespace "+e.Namespace, fmt.Sprintf(", or allow it with lookup_namespaces = [%q]", e.Namespace)
	if e.Namespace == "" {
		where, allow = "all namespaces", ""
	}
	return fmt.Sprintf("Release %s was not applied: a template of its chart reads %s in %s.", e.Release, e.Resource, where),
		fmt.Sprintf("The function lookup may read in the release's own namespace, %s, and objects that belong to no namespace.", e.Own),
		fmt.Sprintf("Change the template so that it reads in namespace %s only%s.", e.Own, allow)
}

func (e *LookupError) Error() string { return explain.Text(e.Explain()) }

// lookupGetter gives Helm the configuration with which it renders: what templates ask the cluster goes through a lookupGuard.
type lookupGetter struct {
	*restGetter
	client *Client
}

func (g *lookupGetter) ToRESTConfig() (*rest.Config, error) {
	config := rest.CopyConfig(g.config)
	base, err := url.Parse(config.Host)
	if err != nil {
		return nil, fmt.Errorf("reading the address of the API server: %w", err)
	}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &lookupGuard{client: g.client, base: strings.TrimSuffix(base.Path, "/"), next: next}
	})
	return config, nil
}

// lookupGuard refuses requests for objects in namespaces other than the release's own and those that its configuration allows. The
// namespace of another client is refused in any case.
type lookupGuard struct {
	client *Client
	// base is the path below which the API server's paths begin.
	base string
	next http.RoundTripper
}

func (g *lookupGuard) RoundTrip(request *http.Request) (*http.Response, error) {
	if err := g.check(request.Context(), strings.TrimPrefix(request.URL.Path, g.base)); err != nil {
		if request.Body != nil {
			_ = request.Body.Close() // A RoundTripper closes the body also when it fails; its error does not matter.
		}
		return nil, g.client.Fail(err)
	}
	return g.next.RoundTrip(request)
}

// WrappedRoundTripper lets client-go reach the transport below.
func (g *lookupGuard) WrappedRoundTripper() http.RoundTripper { return g.next }

func (g *lookupGuard) check(ctx context.Context, path string) error {
	resource, namespace, reads := resourceOf(path)
	if !reads {
		return nil // It asks which kinds there are.
	}
	options := g.client.options
	own := options.Target.Handle.Namespace
	refused := &LookupError{Release: options.Target.Name, Own: own, Namespace: namespace, Resource: resource.Resource}
	switch {
	case namespace == own:
		return nil
	case namespace == "":
		namespaced, err := g.namespaced(resource)
		if err != nil {
			return err
		}
		if namespaced {
			return refused
		}
		return nil
	case !slices.Contains(options.Lookups, namespace):
		return refused
	}
	return g.client.guard.CheckRead(ctx, resource.Resource, namespace)
}

func (g *lookupGuard) namespaced(resource schema.GroupVersionResource) (bool, error) {
	mapper, err := g.client.getter.ToRESTMapper()
	if err != nil {
		return false, err
	}
	kind, err := mapper.KindFor(resource)
	if err != nil {
		return false, fmt.Errorf("finding the kind of %s: %w", resource.Resource, err)
	}
	mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return false, fmt.Errorf("finding the scope of %s: %w", resource.Resource, err)
	}
	return mapping.Scope.Name() == meta.RESTScopeNameNamespace, nil
}

// resourceOf reads a path of the API server: /api/VERSION/… or /apis/GROUP/VERSION/…. reads is false where it names no resource.
// The namespace is empty where it names none.
func resourceOf(path string) (resource schema.GroupVersionResource, namespace string, reads bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case parts[0] == "api" && len(parts) > 2:
		resource.Version, parts = parts[1], parts[2:]
	case parts[0] == "apis" && len(parts) > 3:
		resource.Group, resource.Version, parts = parts[1], parts[2], parts[3:]
	default:
		return resource, "", false
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		namespace, parts = parts[1], parts[2:]
	}
	resource.Resource = parts[0]
	return resource, namespace, true
}
