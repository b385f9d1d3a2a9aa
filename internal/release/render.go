// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"fmt"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

func render(ctx context.Context, spec Spec, options RenderOptions) (*Rendering, error) {
	in := renderInput{
		values:       values.Merge(spec.Values, spec.Sensitive, spec.WriteOnly),
		releaseName:  options.ReleaseName,
		namespace:    options.Namespace,
		install:      options.Install,
		revision:     options.Revision,
		capabilities: helmCapabilities(options.Capabilities),
	}
	ch, err := spec.Chart.Load()
	if err != nil {
		return nil, fmt.Errorf("loading chart %s: %w", spec.Chart.Name, err)
	}
	raw, err := renderOnce(ctx, ch, in)
	if err != nil {
		return nil, err
	}
	out := &Rendering{Objects: map[object.Key]string{}, Volatile: map[object.Key]string{}, raw: raw}
	for _, o := range raw.objects {
		if out.Objects[o.Key], err = object.Canonical(object.MaskSecretData(o.Object)); err != nil {
			return nil, err
		}
	}
	out.Digest = object.Digest(out.Objects)
	out.Notes = raw.notes
	return out, nil
}
