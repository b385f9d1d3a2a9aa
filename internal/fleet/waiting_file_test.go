// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux || darwin

package fleet

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
)

// A reader of a named pipe that nobody writes to waits for ever.
func TestRead_RefusesNamedPipes(t *testing.T) {
	for _, file := range []string{"fleet.yaml", "values.yaml", "acme/client.yaml", "stages/prod.yaml"} {
		t.Run(file, func(t *testing.T) {
			dir := small.write(t)
			path := filepath.Join(dir, file)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Generate(t.Context(), dir, GenerateOptions{Charts: chart.NewLoader(t.TempDir(), nil)})
			text := fmt.Sprint(err)
			if found, ok := errors.AsType[*FindingsError](err); ok {
				for _, finding := range found.Findings {
					text += "\n" + finding.String() + ": " + finding.Text
				}
			}
			if !strings.Contains(text, "not a regular file") || !strings.Contains(text, filepath.FromSlash(file)) {
				t.Errorf("got %s", text)
			}
		})
	}
}
