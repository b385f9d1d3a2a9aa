// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package chart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"helm.sh/helm/v3/pkg/repo"

	"github.com/slipway-dev/terraform-provider-slipway/internal/regularfile"
	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

const (
	maxIndex     = 100 << 20 // bytes; the largest public index has about 25 MiB
	maxAvailable = 8         // limit of versions in an error
	attempts     = 6         // within 8 seconds
	firstPause   = 250 * time.Millisecond
)

func newHTTPClient() *http.Client {
	return &http.Client{CheckRedirect: keepTLS, Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 20 * time.Second,
		IdleConnTimeout:       30 * time.Second,
		ForceAttemptHTTP2:     true,
	}}
}

// keepTLS refuses a redirect from https to http. Go sends the credential again if only the host stays the same, and without TLS anyone
// can read it, and put another chart in the place of the one that was asked for.
func keepTLS(request *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("it redirects more than 10 times")
	}
	if request.URL.Scheme != "https" && via[len(via)-1].URL.Scheme == "https" {
		return fmt.Errorf("it redirects from https to %s://%s; use the final address if it is right", request.URL.Scheme, request.URL.Host)
	}
	return nil
}

// repositories downloads charts from repositories with an index.yaml. Safe for concurrent use.
type repositories struct {
	client      *http.Client
	credentials credentials
	registries  ociRegistries // for archives that an index names by an OCI address

	mu      sync.Mutex
	indexes map[string]*repo.IndexFile // by repository
}

// download downloads a packed chart from an index.yaml repository.
func (r *repositories) download(ctx context.Context, source Source) ([]byte, error) {
	index, err := r.index(ctx, source.place())
	if err != nil {
		return nil, err
	}
	entry, err := findEntry(index, source)
	if err != nil {
		return nil, err
	}
	missing := &NotFoundError{Place: source.place(), Name: source.Name, Version: source.Version}
	var failure error = missing
	for _, reference := range entry.URLs {
		address, err := repo.ResolveReferenceURL(source.place(), reference)
		if err != nil {
			failure = &InvalidError{
				Chart:  source.place(),
				File:   "index.yaml",
				Reason: fmt.Sprintf("the address of %s %s is none", source.Name, source.Version),
			}
			continue
		}
		if reference, ok := strings.CutPrefix(address, "oci://"); ok {
			return r.registries.pullReference(ctx, source, reference)
		}
		archive, status, err := r.get(ctx, address, MaxArchive)
		switch {
		case err != nil:
			failure = err
		case status == http.StatusNotFound || status == http.StatusGone:
			failure = missing
		default:
			return archive, checkIndexDigest(source, entry.Digest, archive)
		}
	}
	return nil, failure
}

// checkIndexDigest compares an archive with its digest in the index. Old indexes have no digests.
func checkIndexDigest(source Source, want string, archive []byte) error {
	want = "sha256:" + strings.TrimPrefix(strings.ToLower(want), "sha256:")
	if got := archiveDigest(archive); want != "sha256:" && want != got {
		return &DigestError{
			Place: fmt.Sprintf("%s (%s %s), by its index.yaml", source.place(), source.Name, source.Version),
			Want:  want,
			Got:   got,
		}
	}
	return nil
}

// index reads a repository's index.yaml, once in the life of the process.
func (r *repositories) index(ctx context.Context, repository string) (*repo.IndexFile, error) {
	r.mu.Lock()
	known := r.indexes[repository]
	r.mu.Unlock()
	if known != nil {
		return known, nil
	}
	address, err := repo.ResolveReferenceURL(repository, "index.yaml")
	if err != nil {
		return nil, &SourceError{Field: "repository", Reason: "it is no address"}
	}
	content, status, err := r.get(ctx, address, maxIndex)
	if err != nil {
		return nil, err
	}
	if status == http.StatusNotFound {
		return nil, &UnreachableError{
			Address: repository,
			Err:     errors.New("it has no index.yaml (HTTP 404), so it is no chart repository; for a registry, begin the address with oci://"),
		}
	}
	index, err := parseIndex(content)
	if err != nil {
		return nil, &UnreachableError{Address: repository, Err: fmt.Errorf("what it returns as index.yaml is none: %w", err)}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.indexes[repository] = index
	return index, nil
}

// parseIndex writes a file, since Helm's reader reads only files.
func parseIndex(content []byte) (*repo.IndexFile, error) {
	file, err := os.CreateTemp("", "slipway-index-*.yaml")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, errWrite := file.Write(content)
	if err := errors.Join(errWrite, file.Close()); err != nil {
		return nil, err
	}
	index, err := repo.LoadIndexFile(file.Name())
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), file.Name(), "index.yaml"))
	}
	return index, nil
}

// findEntry takes exact versions only; Helm's own lookup would also accept a version in a range.
func findEntry(index *repo.IndexFile, source Source) (*repo.ChartVersion, error) {
	versions := index.Entries[source.Name]
	if len(versions) == 0 {
		names := make([]string, 0, len(index.Entries))
		for name := range index.Entries {
			names = append(names, name)
		}
		missing := &NotFoundError{Place: source.place(), Name: source.Name}
		if nearest := values.Nearest(source.Name, names); nearest != "" {
			missing.Available = []string{nearest}
		} else if len(names) <= maxAvailable {
			slices.Sort(names)
			missing.Available = names
		}
		return nil, missing
	}
	available := make([]string, 0, len(versions))
	var same *repo.ChartVersion
	for _, entry := range versions {
		if entry.Version == source.Version {
			return entry, nil
		}
		if sameVersion(entry.Version, source.Version) {
			same = entry
		}
		available = append(available, entry.Version)
	}
	if same != nil {
		return same, nil
	}
	return nil, &NotFoundError{Place: source.place(), Name: source.Name, Version: source.Version, Available: shorten(available)}
}

func shorten(versions []string) []string {
	if len(versions) > maxAvailable {
		return append(slices.Clone(versions[:maxAvailable]), fmt.Sprintf("and %d older ones", len(versions)-maxAvailable))
	}
	return versions
}

// get fetches an address. It retries after a temporary failure. status is 200, or 404 or 410 without content;
// anything else is an error.
func (r *repositories) get(ctx context.Context, address string, limit int64) (content []byte, status int, err error) {
	err = retry(ctx, func() error {
		content, status, err = r.getOnce(ctx, address, limit)
		return err
	})
	return content, status, err
}

func (r *repositories) getOnce(ctx context.Context, address string, limit int64) ([]byte, int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, 0, &SourceError{Field: "repository", Reason: "it is no address"}
	}
	credential := r.credentials.of(address)
	if credential != nil {
		request.SetBasicAuth(credential.Username, credential.Password)
	}
	shown := redactURL(address)
	response, err := r.client.Do(request)
	if err != nil {
		return nil, 0, unreachable(shown, err)
	}
	defer func() { _ = response.Body.Close() }()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusGone:
		return nil, response.StatusCode, nil
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, 0, &UnauthorizedError{Address: shown, HadCredential: credential != nil}
	default:
		return nil, 0, &UnreachableError{Address: shown, Err: statusError(response.StatusCode)}
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return nil, 0, unreachable(shown, err)
	}
	if int64(len(content)) > limit {
		return nil, 0, &InvalidError{Chart: shown, Reason: "it has more than " + regularfile.Size(limit)}
	}
	return content, response.StatusCode, nil
}

type statusError int

func (e statusError) Error() string {
	return fmt.Sprintf("it answers HTTP %d (%s)", int(e), http.StatusText(int(e)))
}

// unreachable removes method and address from an error of net/http: the caller names the address, which may contain a query.
func unreachable(address string, err error) error {
	var urlError *url.Error
	if errors.As(err, &urlError) {
		err = urlError.Err
	}
	return &UnreachableError{Address: address, Err: err}
}

// retry calls up to attempts times, as long as the failure may be temporary.
func retry(ctx context.Context, try func() error) error {
	pause := firstPause
	for attempt := 1; ; attempt++ {
		err := try()
		if err == nil || attempt == attempts || !mayPass(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// mayPass reports a temporary failure.
func mayPass(err error) bool {
	if interrupted(err) {
		return false
	}
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) {
		return false
	}
	var status statusError
	if errors.As(err, &status) {
		return status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

// interrupted reports that a context ended, not that a server was slow.
func interrupted(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
