// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// apiToken is a secret that both services are given. A pipeline would take it from its vault.
const apiToken = "the-demo-token-91c7"

// secretEnv passes the token as variables that Terraform never stores.
var secretEnv = []string{
	`TF_VAR_secret_values={"apiToken":"` + apiToken + `"}`,
	"TF_VAR_secret_values_version=1",
}

// searchSecret looks for the token in everything that Terraform stored: the state of all workspaces and the saved plan.
func searchSecret(s *screen, d *deployments) error {
	s.heading("Look for the services' API token in states and plan")
	searched := 0
	look := func(name string, content []byte) error {
		searched++
		if bytes.Contains(content, []byte(apiToken)) {
			return fmt.Errorf("the API token is in %s", name)
		}
		return nil
	}

	states, err := filepath.Glob(filepath.Join(d.dir, "terraform.tfstate.d", "*", "*"))
	if err != nil {
		return err
	}
	for _, file := range states {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := look(file, content); err != nil {
			return err
		}
	}

	plan, err := zip.OpenReader(filepath.Join(d.dir, planFile))
	if err != nil {
		return fmt.Errorf("opening the saved plan: %w", err)
	}
	defer func() { _ = plan.Close() }() // it was only read
	for _, entry := range plan.File {
		content, err := readEntry(entry)
		if err != nil {
			return fmt.Errorf("reading %s of the saved plan: %w", entry.Name, err)
		}
		if err := look(entry.Name+" of the saved plan", content); err != nil {
			return err
		}
	}
	if len(states) == 0 || len(plan.File) == 0 {
		return errors.New("there is nothing to search")
	}
	s.say("%s It is in none of the %d files.", s.style("32", "✓"), searched)
	return nil
}

func readEntry(entry *zip.File) ([]byte, error) {
	r, err := entry.Open()
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(r)
	return content, errors.Join(err, r.Close())
}
