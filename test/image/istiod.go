// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package image

import (
	"context"
	"fmt"
)

// IstiodReference is the image of Istio's control plane, as test/istio/istiod.yaml names it.
const IstiodReference = "slipway.local/istiod:built"

// Istiod makes an image of Istio's control plane and writes it to an archive at the given path. The program is
// pilot-discovery, which is static.
func Istiod(ctx context.Context, archive, program string) error {
	img, err := Build(ctx, Spec{
		Files:      []File{{Path: "/usr/local/bin/pilot-discovery", Source: program, Mode: 0o755}},
		Entrypoint: []string{"/usr/local/bin/pilot-discovery"},
		Ports:      []string{"15010/tcp", "8080/tcp"},
		Labels:     map[string]string{"org.opencontainers.image.title": "istiod"},
	})
	if err != nil {
		return fmt.Errorf("making the image %s: %w", IstiodReference, err)
	}
	return Save(archive, IstiodReference, img)
}
