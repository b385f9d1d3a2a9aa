// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// chartPath is the sample chart, from the root of the repository.
const chartPath = "examples/data-collection/chart/data-collection-service"

func clientName(i int) string { return fmt.Sprintf("client-%04d", i) }

// makeFleet makes a fleet with the shared layers of the repository's own, and with a file for each client and for each of its stages.
func makeFleet(root, dir string, clients int) error {
	write := func(content string, path ...string) error {
		full := filepath.Join(append([]string{dir}, path...)...)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return err
		}
		return os.WriteFile(full, []byte(content), 0o644)
	}
	own := filepath.Join(root, "clients")
	for _, name := range []string{"values.yaml", "stages", "regions", "tiers"} {
		if err := copyTree(filepath.Join(own, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	description, err := os.ReadFile(filepath.Join(own, "fleet.yaml"))
	if err != nil {
		return err
	}
	text := strings.Replace(string(description), "../"+chartPath, filepath.Join(root, chartPath), 1)
	text = strings.Replace(text, "facts:\n", "facts:\n  context: \"{client}-{stage}\"\n  namespace: data-collection-{client}-{stage}\n", 1)
	text = strings.Replace(text, `tfvars: "{client}/{stage}.tfvars"`, "", 1)
	if err := write(text, "fleet.yaml"); err != nil {
		return err
	}
	regions := []string{"eu-central-1", "us-east-1", "ap-southeast-2"}
	tiers := []string{"standard", "gold", "platinum"}
	for i := range clients {
		name := clientName(i)
		account := fmt.Sprintf("%012d", 100000000000+i*7919)
		if err := write(fmt.Sprintf("tags:\n  region: %s\n  tier: %s\n  ring: %s\nfacts:\n  account_id: %q\n  app_version: v1.2.0\n",
			regions[i%3], tiers[i/3%3], []string{"canary", "early", "general", "general"}[i%4], account), name, "client.yaml"); err != nil {
			return err
		}
		if err := write(fmt.Sprintf("environment: %s\n\nserviceAccount:\n  annotations:\n"+
			"    eks.amazonaws.com/role-arn: arn:aws:iam::%s:role/data-collection\n\n"+
			"config:\n  MAX_RECORD_BYTES: \"%d\"\n  SUPPORT_CONTACT: support+%s@example.com\n\nresources:\n  limits:\n    cpu: %dm\n"+
			"    memory: %dMi\n",
			name, account, 65536*(1+i%4), name, 500+i%8*250, 512+i%5*256), name, "values.yaml"); err != nil {
			return err
		}
		for j, stage := range []string{"dev", "staging", "prod"} {
			if err := write(fmt.Sprintf("autoscaling:\n  maxReplicas: %d\n\npodLabels:\n  cost-center: \"%04d\"\n", 4+6*j+i%7, i), name,
				"values-"+stage+".yaml"); err != nil {
				return err
			}
		}
	}
	return nil
}

func copyTree(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return os.CopyFS(to, os.DirFS(from))
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o644)
}
