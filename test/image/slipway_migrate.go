// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const slipwayMigrateRepository = "ghcr.io/slipway-dev/slipway-migrate"

// SlipwayMigrateReference is the image of the migration runner in a version, such as "v0.1.0".
func SlipwayMigrateReference(version string) string { return slipwayMigrateRepository + ":" + version }

// SlipwayMigrate makes the image of the migration runner and writes it to an archive at the given path (see Save). It runs
// as a user without rights, and holds one static program. It must be called from within the checkout.
func SlipwayMigrate(ctx context.Context, archive, version string) (err error) {
	reference := SlipwayMigrateReference(version)
	if !tagPattern.MatchString(version) {
		return fmt.Errorf("making the image %s: %q cannot be the tag of an image", reference, version)
	}
	root, err := checkout()
	if err != nil {
		return fmt.Errorf("making the image %s: %w", reference, err)
	}
	work, err := os.MkdirTemp("", "slipway-image-")
	if err != nil {
		return fmt.Errorf("making the image %s: %w", reference, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	program := filepath.Join(work, "slipway-migrate")
	if _, err := goCommand(ctx, root, "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", program,
		"./cmd/slipway-migrate"); err != nil {
		return fmt.Errorf("making the image %s: %w", reference, err)
	}
	img, err := Build(ctx, Spec{
		Files:      []File{{Path: "/slipway-migrate", Source: program, Mode: 0o755}},
		Entrypoint: []string{"/slipway-migrate"},
		Labels: map[string]string{
			"org.opencontainers.image.title":    "slipway-migrate",
			"org.opencontainers.image.version":  version,
			"org.opencontainers.image.source":   "https://github.com/slipway-dev/terraform-provider-slipway",
			"org.opencontainers.image.licenses": "MPL-2.0",
		},
	})
	if err != nil {
		return fmt.Errorf("making the image %s: %w", reference, err)
	}
	return Save(archive, reference, img)
}
