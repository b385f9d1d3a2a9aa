// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// apiToken is a secret that both services are given. A pipeline would take it from its vault.
const apiToken = "the-demo-token-91c7"

// secretEnv passes the token as variables that Terraform never stores.
var secretEnv = []string{
	`TF_VAR_secret_values={"apiToken":"` + apiToken + `"}`,
	"TF_VAR_secret_values_version=1",
}

// searchSecret looks for the token in everything that Terraform stored: the state of all workspaces and the saved plan.
func searchSecret(ctx context.Context, s *screen, d *deployments, p place) error {
	s.heading("Look for the services' API token, and the passwords of databases, in states and plan")
	secrets, err := p.secrets(ctx)
	if err != nil {
		return err
	}
	searched := 0
	look := func(name string, content []byte) error {
		searched++
		for what, secret := range secrets {
			if bytes.Contains(content, []byte(secret)) {
				return fmt.Errorf("%s is in %s", what, name)
			}
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
	s.say("%s None of the %d secrets is in any of the %d files.", s.style("32", "✓"), len(secrets), searched)
	return nil
}

// secrets are what must not be found, by what it is.
func (p *place) secrets(ctx context.Context) (map[string]string, error) {
	out := map[string]string{"the API token": apiToken}
	if p.database == nil {
		return out, nil
	}
	out["the administrator's password"] = p.database.Password
	for _, c := range []client{clientA, clientB} {
		for _, role := range []string{"-owner", "-app"} {
			name := c.database() + role
			secret, err := p.client.CoreV1().Secrets(c.namespace).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return nil, fmt.Errorf("reading the Secret %s: %w", name, err)
			}
			out["the password of role "+name] = string(secret.Data["DB_PASSWORD"])
		}
	}
	return out, nil
}

func readEntry(entry *zip.File) ([]byte, error) {
	r, err := entry.Open()
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(r)
	return content, errors.Join(err, r.Close())
}
