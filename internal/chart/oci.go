// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package chart

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"helm.sh/helm/v3/pkg/registry"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/slipway-dev/terraform-provider-slipway/internal/regularfile"
)

// ociRegistries downloads charts from OCI registries.
type ociRegistries struct {
	client      *http.Client
	credentials credentials
	limit       int64 // bytes of one answer
}

// pull downloads a packed chart from an OCI registry.
func (o ociRegistries) pull(ctx context.Context, source Source) ([]byte, error) {
	repository := strings.TrimPrefix(source.place(), "oci://") + "/" + source.Name
	// A tag cannot contain "+"; Helm uses "_".
	return o.pullReference(ctx, source, repository+":"+strings.ReplaceAll(source.Version, "+", "_"))
}

// pullReference pulls "host/path:tag".
func (o ociRegistries) pullReference(ctx context.Context, source Source, reference string) ([]byte, error) {
	client, credential, err := o.newClient(ctx, reference)
	if err != nil {
		return nil, err
	}
	var archive []byte
	err = retry(ctx, func() error {
		result, err := client.Pull(reference)
		if err != nil {
			return pullError(ctx, source, reference, credential != nil, err)
		}
		archive = result.Chart.Data
		return nil
	})
	var missing *NotFoundError
	if errors.As(err, &missing) {
		// A registry may not list its tags; the error is sufficient without them.
		if tags, err := client.Tags(strings.TrimSuffix(reference, ":"+tagOf(reference))); err == nil {
			missing.Available = shorten(tags)
		}
	}
	return archive, err
}

// newClient makes a client for one pull. Helm's client takes no context: its transport does.
func (o ociRegistries) newClient(ctx context.Context, reference string) (*registry.Client, *Registry, error) {
	host, _, _ := strings.Cut(reference, "/")
	options := []registry.ClientOption{
		registry.ClientOptHTTPClient(&http.Client{
			Transport: contextTransport{ctx: ctx, base: o.client.Transport, limit: o.limit}, CheckRedirect: o.client.CheckRedirect,
		}),
	}
	if isLoopback(host) {
		options = append(options, registry.ClientOptPlainHTTP())
	}
	credential := o.credentials.of("oci://" + reference)
	if credential != nil {
		options = append(options, registry.ClientOptBasicAuth(credential.Username, credential.Password))
	}
	if file := os.Getenv("HELM_REGISTRY_CONFIG"); file != "" {
		options = append(options, registry.ClientOptCredentialsFile(file))
	}
	client, err := registry.NewClient(options...)
	if err != nil {
		return nil, nil, &UnreachableError{Address: "oci://" + host, Err: fmt.Errorf("cannot read the stored registry credentials: %w", err)}
	}
	return client, credential, nil
}

// isLoopback reports a host that is accessed without TLS.
func isLoopback(hostPort string) bool {
	host := hostPort
	if h, _, err := net.SplitHostPort(hostPort); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

func pullError(ctx context.Context, source Source, reference string, hadCredential bool, err error) error {
	address := "oci://" + strings.TrimSuffix(reference, ":"+tagOf(reference))
	var response *errcode.ErrorResponse
	var large *http.MaxBytesError
	switch {
	case ctx.Err() != nil:
		return &UnreachableError{Address: address, Err: context.Cause(ctx)}
	case errors.As(err, &large):
		return &InvalidError{
			Chart: address + ":" + tagOf(reference), Err: err,
			Reason: "what the registry sends has more than " + regularfile.Size(large.Limit) + ", and a packed chart has at most that",
		}
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return &UnauthorizedError{Address: address, HadCredential: false}
	case errors.As(err, &response) && (response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden):
		return &UnauthorizedError{Address: address, HadCredential: hadCredential}
	case errors.As(err, &response) && response.StatusCode == http.StatusNotFound, errors.Is(err, errdef.ErrNotFound):
		return &NotFoundError{Place: source.place(), Name: source.Name, Version: source.Version}
	case errors.As(err, &response):
		return &UnreachableError{Address: address, Err: statusError(response.StatusCode)}
	case errors.Is(err, errdef.ErrInvalidReference):
		return &SourceError{Field: "repository", Reason: fmt.Sprintf("%q is no reference of a registry", reference)}
	case strings.Contains(err.Error(), "mediatype") || strings.Contains(err.Error(), "number of descriptors"):
		return &InvalidError{
			Chart:  address + ":" + tagOf(reference),
			Reason: "it is no Helm chart but another artifact (an image, perhaps)",
			Err:    err,
		}
	}
	return unreachable(address, err)
}

func tagOf(reference string) string {
	return reference[strings.LastIndex(reference, ":")+1:]
}

// contextTransport ends requests with a context that their sender does not have, and limits the answers: the client reads them into memory.
type contextTransport struct {
	ctx   context.Context
	base  http.RoundTripper
	limit int64
}

func (t contextTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.base.RoundTrip(request.WithContext(t.ctx))
	if err != nil {
		return nil, err
	}
	if response.ContentLength > t.limit {
		return nil, errors.Join(&http.MaxBytesError{Limit: t.limit}, response.Body.Close())
	}
	response.Body = http.MaxBytesReader(nil, response.Body, t.limit)
	return response, nil
}
