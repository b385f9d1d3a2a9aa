// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package chart

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Source is where a chart comes from: either Path, or Repository with Name and Version.
type Source struct {
	// Path of a chart directory or .tgz file.
	Path string
	// Repository is "https://…" (or http://) for an index.yaml repository, "oci://…" for a registry.
	Repository string
	Name       string
	// Version is an exact SemVer version; ranges are refused, since a plan must name what apply installs.
	Version string
}

// Validate returns an error for missing or conflicting fields, without looking for the chart. Error: *SourceError.
func (s Source) Validate() error {
	if s.Path != "" {
		for field, value := range map[string]string{"repository": s.Repository, "name": s.Name, "version": s.Version} {
			if value != "" {
				return &SourceError{Field: field, Reason: "cannot be given together with path: a chart in a folder or file brings its own"}
			}
		}
		if strings.Contains(s.Path, "://") {
			return &SourceError{Field: "path", Reason: fmt.Sprintf("%q is an address; give it as repository", redactURL(s.Path))}
		}
		return nil
	}
	if s.Repository == "" {
		return &SourceError{Field: "path", Reason: "either path, or repository with name and version, must be given"}
	}
	address, err := url.Parse(s.Repository)
	switch {
	case err != nil:
		// The text of err contains the address, which may contain a password.
		return &SourceError{Field: "repository", Reason: "it is no address"}
	case address.Scheme != "https" && address.Scheme != "http" && address.Scheme != "oci":
		return &SourceError{
			Field: "repository",
			Reason: fmt.Sprintf("%q must begin with https:// (a repository with index.yaml), oci:// (a registry), or http://",
				redactURL(s.Repository)),
		}
	case address.Host == "":
		return &SourceError{Field: "repository", Reason: fmt.Sprintf("%q names no host", redactURL(s.Repository))}
	case address.User != nil:
		return &SourceError{
			Field:  "repository",
			Reason: "credentials do not belong into the address, which is stored and shown; give them in the provider's registries",
		}
	case s.Name == "":
		return &SourceError{Field: "name", Reason: "the name of the chart in the repository is missing"}
	case strings.ContainsAny(s.Name, "/\\:@ \t\n") || s.Name == "." || s.Name == "..":
		return &SourceError{Field: "name", Reason: fmt.Sprintf("%q is no chart name; folders belong to repository", s.Name)}
	case s.Version == "":
		return &SourceError{Field: "version", Reason: "an exact version is needed, since a plan must name what apply installs"}
	}
	if _, err := semver.StrictNewVersion(strings.TrimPrefix(s.Version, "v")); err != nil {
		return &SourceError{
			Field:  "version",
			Reason: fmt.Sprintf("%q is no exact version such as 1.2.0; ranges are refused, since a plan must name what apply installs", s.Version),
		}
	}
	return nil
}

// place is the source in errors.
func (s Source) place() string {
	if s.Path != "" {
		return s.Path
	}
	return strings.TrimSuffix(s.Repository, "/")
}

// redactURL removes user and password from an address for an error.
func redactURL(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return address
	}
	host, path, _ := strings.Cut(rest, "/")
	if at := strings.LastIndex(host, "@"); at >= 0 {
		host = host[at+1:]
	}
	if path != "" {
		host += "/" + path
	}
	return scheme + "://" + host
}
