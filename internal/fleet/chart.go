// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// chartLayer is the layer name of the chart's own values.
const chartLayer = "chart"

// Chart is the chart of a fleet's values.
type Chart struct {
	*chart.Chart
	defaults  *values.Node
	validator *chart.Validator
}

// LoadChart loads the chart of the description, so that keys and values can be checked against it. Without a chart in the
// description it does nothing. Errors: those of chart.Loader, and *DescriptionError.
func (f *Fleet) LoadChart(ctx context.Context, loader *chart.Loader) error {
	if f.Chart == nil {
		return nil
	}
	file := filepath.Join(f.Dir, FileName)
	source := chart.Source{Repository: f.Chart.Repository, Name: f.Chart.Name, Version: f.Chart.Version}
	if f.Chart.Path != "" {
		source.Path = f.Chart.Path
		if !filepath.IsAbs(source.Path) {
			source.Path = filepath.Join(f.Dir, source.Path)
		}
	}
	loaded, err := loader.Get(ctx, source, "")
	if err != nil {
		return fmt.Errorf("loading the chart of %s: %w", file, err)
	}
	out := &Chart{Chart: loaded}
	if lends, err := loaded.LendsValues(); err != nil {
		return err
	} else if lends && f.Chart.Defaults == "include" {
		return &DescriptionError{File: file, Reason: fmt.Sprintf("chart %s imports values of its dependencies (import-values), so that its "+
			"defaults cannot be part of final values; set chart.defaults to omit", loaded.Name)}
	}
	if out.defaults, err = defaultsWithPlaces(loaded, source.Path); err != nil {
		return err
	}
	if out.validator, err = loaded.NewValidator(); err != nil {
		return err
	}
	f.chart = out
	return nil
}

// defaultsWithPlaces are a chart's defaults. Those from the values.yaml of a chart's folder have line numbers.
func defaultsWithPlaces(loaded *chart.Chart, path string) (*values.Node, error) {
	all, err := values.TreeOf(&values.Layer{Name: chartLayer, Path: fmt.Sprintf("chart %s %s", loaded.Name, loaded.Version)},
		loaded.DefaultValues())
	if err != nil || path == "" {
		return all, err
	}
	file := filepath.Join(path, "values.yaml")
	content, err := readFile(file)
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return all, nil // an archive, or a chart without values
	}
	if err != nil {
		return nil, err
	}
	own, err := values.ParseDefaults(chartLayer, file, content)
	if err != nil {
		return nil, err
	}
	return (*values.Rules)(nil).Lay(all, own.Root()), nil
}
