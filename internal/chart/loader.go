// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package chart

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"helm.sh/helm/v3/pkg/repo"
)

// fetchTimeout limits one fetch with all its retries, so that a repository that does not answer cannot delay a plan.
const fetchTimeout = 2 * time.Minute

// Loader locates charts; it is shared by the process, and each source is resolved once. Safe for concurrent use.
type Loader struct {
	cache        cache
	folders      folders
	registries   ociRegistries
	repositories repositories

	flights singleflight.Group
	mu      sync.Mutex
	pulled  map[Source]*Chart // of repositories, for the life of the process
	byHash  map[string]*Chart // of repositories, by digest
}

// NewLoader makes a loader that keeps pulled charts, by digest, under cacheDir (default: os.UserCacheDir()/slipway/charts).
// If there is no such directory, or it cannot be written, charts are kept for the life of the process only: the cache is never
// required, it only saves requests.
func NewLoader(cacheDir string, registries []Registry) *Loader {
	if cacheDir == "" {
		if base, err := os.UserCacheDir(); err == nil {
			cacheDir = filepath.Join(base, "slipway", "charts")
		}
	}
	client := newHTTPClient()
	oci := ociRegistries{client: client, credentials: registries, limit: MaxArchive}
	return &Loader{
		cache:        cache{folder: cacheDir},
		folders:      folders{read: map[string]folderOnce{}},
		registries:   oci,
		repositories: repositories{client: client, credentials: registries, registries: oci, indexes: map[string]*repo.IndexFile{}},
		pulled:       map[Source]*Chart{},
		byHash:       map[string]*Chart{},
	}
}

// Get returns the chart of a source. If digest is not empty, the chart must have it: a cached chart is used without a request, and
// another content is a *DigestError. A relative path is relative to the working directory, which for
// a provider is the root module. Errors: *NotFoundError (chart or version missing, with the available ones), *SourceError (bad
// input, with the field's name), *UnreachableError, *UnauthorizedError, *InvalidError (broken chart, missing dependency),
// *DigestError.
func (l *Loader) Get(ctx context.Context, source Source, digest string) (*Chart, error) {
	if err := source.Validate(); err != nil {
		return nil, err
	}
	if source.Path != "" {
		return l.fromPath(ctx, source, digest)
	}
	return l.fromRepository(ctx, source, digest)
}

func (l *Loader) fromPath(ctx context.Context, source Source, digest string) (*Chart, error) {
	path, err := filepath.Abs(source.Path)
	if err != nil {
		return nil, &SourceError{Field: "path", Reason: fmt.Sprintf("cannot make %q absolute: %v", source.Path, err)}
	}
	c, err := shared(ctx, &l.flights, "path "+path, func(context.Context) (*Chart, error) {
		return l.folders.chart(source.Path, path)
	})
	if err != nil {
		return nil, err
	}
	if err := checkDigest(c, source, digest); err != nil {
		return nil, err
	}
	return c, nil
}

func (l *Loader) fromRepository(ctx context.Context, source Source, digest string) (*Chart, error) {
	if c := l.known(source, digest); c != nil {
		return c, nil
	}
	c, err := shared(ctx, &l.flights, fmt.Sprintf("repository %q %q", source, digest), func(ctx context.Context) (*Chart, error) {
		if c := l.known(source, digest); c != nil {
			return c, nil
		}
		if archive := l.cache.archive(digest); archive != nil {
			c, err := fromArchive(source.place(), archive)
			if err == nil {
				l.remember(source, c)
			}
			return c, err
		}
		archive, err := l.fetch(ctx, source)
		if err != nil {
			return nil, err
		}
		c, err := fromArchive(source.place(), archive)
		if err != nil {
			return nil, err
		}
		if err := checkIdentity(c, source); err != nil {
			return nil, err
		}
		l.cache.store(c.Digest, archive)
		l.remember(source, c)
		return c, nil
	})
	if err != nil {
		return nil, err
	}
	if err := checkDigest(c, source, digest); err != nil {
		return nil, err
	}
	return c, nil
}

// known looks for a chart that this process has loaded. With a digest, only that content matches.
func (l *Loader) known(source Source, digest string) *Chart {
	l.mu.Lock()
	defer l.mu.Unlock()
	if digest != "" {
		if c := l.byHash[digest]; c != nil && checkIdentity(c, source) == nil {
			return c
		}
		return nil
	}
	return l.pulled[source]
}

func (l *Loader) remember(source Source, c *Chart) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pulled[source] = c
	l.byHash[c.Digest] = c
}

func (l *Loader) fetch(ctx context.Context, source Source) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	if strings.HasPrefix(source.Repository, "oci://") {
		return l.registries.pull(ctx, source)
	}
	return l.repositories.download(ctx, source)
}

func checkDigest(c *Chart, source Source, digest string) error {
	if digest != "" && c.Digest != digest {
		place := source.place()
		if source.Name != "" {
			place += " (" + source.Name + " " + source.Version + ")"
		}
		return &DigestError{Place: place, Want: digest, Got: c.Digest}
	}
	return nil
}

// checkIdentity refuses an archive that is stored under another chart's name.
func checkIdentity(c *Chart, source Source) error {
	if c.Name != source.Name || !sameVersion(c.Version, source.Version) {
		return &InvalidError{Chart: source.place(), File: "Chart.yaml", Reason: fmt.Sprintf("the archive of %s %s contains %s %s",
			source.Name, source.Version, c.Name, c.Version)}
	}
	return nil
}

// sameVersion ignores the leading v, which some charts have in only one of the two places.
func sameVersion(a, b string) bool {
	return strings.TrimPrefix(a, "v") == strings.TrimPrefix(b, "v")
}

// shared runs fn once for all callers with the same key. A caller returns when its context ends; the work ends with the
// last caller's context, or at its own time limit.
func shared(ctx context.Context, flights *singleflight.Group, key string, fn func(context.Context) (*Chart, error)) (*Chart, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("cannot get the chart: %w", err)
	}
	for {
		result := flights.DoChan(key, func() (any, error) { return fn(ctx) })
		select {
		case <-ctx.Done():
			// The flight may be ours, and then ends with our context; wait for it, so that nothing continues in the background.
			<-result
			return nil, fmt.Errorf("cannot get the chart: %w", context.Cause(ctx))
		case r := <-result:
			if r.Err != nil && ctx.Err() == nil && interrupted(r.Err) {
				continue // the context that ended was another caller's
			}
			c, _ := r.Val.(*Chart)
			return c, r.Err
		}
	}
}
