// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/regularfile"
)

const (
	// maxTime is how long one rendering may take. Charts of a thousand objects take a few seconds.
	maxTime = time.Minute
	// maxText is how many bytes all templates may make. Helm stores a release in a Secret of at most 1 MiB, packed.
	maxText = 64 << 20
	// maxMemory is what a process that tries templates may take.
	maxMemory = 1 << 30
)

var errTooLong = errors.New("rendering takes too long")

// errUnbounded says which bound the templates of a chart exceed.
func errUnbounded(chart, what string) error {
	return &TemplateError{Chart: chart, File: path.Join(chart, "templates"), Cause: what}
}

func errEndless(chart string) error {
	return errUnbounded(chart, fmt.Sprintf("the templates do not end within %s; look for a loop over a large number", maxTime))
}

func errTooMuchText(chart string) error {
	return errUnbounded(chart, "the templates make more than "+regularfile.Size(maxText))
}

// within works until ctx ends, and at most for maxTime. Go cannot end the work of another goroutine: what templates do after that is
// lost, and ends with the process.
func within[T any](ctx context.Context, chart string, work func() (T, error)) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, maxTime, errTooLong)
	defer cancel()
	type result struct {
		made T
		err  error
	}
	done := make(chan result, 1)
	go func() {
		made, err := work()
		done <- result{made, err}
	}()
	select {
	case r := <-done:
		return r.made, r.err
	case <-ctx.Done():
		var none T
		if cause := context.Cause(ctx); !errors.Is(cause, errTooLong) {
			return none, cause
		}
		return none, errEndless(chart)
	}
}
