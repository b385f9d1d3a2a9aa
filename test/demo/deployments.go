// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// providerVersion is what the provider is installed as for the demo.
const providerVersion = "0.1.0"

// deployments is the vendor's repository in which terraform runs: a copy of what the checkout has of one, with the state of
// all other workspaces next to it.
type deployments struct {
	screen  *screen
	program string // terraform or tofu
	dir     string
	env     []string
	extra   []string // -var arguments for every plan and apply
}

// demoSettingsFile is the var-file with which the demo differs from production.
const demoSettingsFile = "demo.tfvars"

// demoSettings make minutes of production seconds, so that the demo can be watched, and need no more than one small node.
func demoSettings(p place) string {
	image := ""
	if p.repository != "" {
		image = fmt.Sprintf("  image           = { repository = %q }\n", p.repository)
	}
	return `# In production a new version is watched for ten minutes, and an error rate above 5% for two of them rolls it back. Here the
# same takes seconds.
analysis = {
  duration   = "10s"
  interval   = "1s"
  error_rate = {
    lasting = "4s", window = "4s", min_requests = 5
    # Istio divides gRPC calls here, so these are what a canary is analyzed by.
    canary_query          = "(sum(rate(grpc_requests_total{namespace='{{namespace}}',pod=~'{{canary}}-.+',code!='OK'}[{{window}}])) or vector(0)) / sum(rate(grpc_requests_total{namespace='{{namespace}}',pod=~'{{canary}}-.+'}[{{window}}]))"
    canary_requests_query = "sum(increase(grpc_requests_total{namespace='{{namespace}}',pod=~'{{canary}}-.+'}[{{window}}]))"
  }
}
rollback = { validation = "5s" }

# Over the values in clients/: there is no database here, and one small node for all pods.
values = {
` + image + `  database        = { host = "" }
  minReadySeconds = 0
  resources       = { requests = { cpu = "50m", memory = "64Mi" } }
}
`
}

// deploymentFiles are what a vendor's repository has, as paths in the checkout.
var deploymentFiles = []string{"clients.tf", "clients", "examples/client-stack", "examples/data-collection/chart", migrationsDir}

// newDeployments puts a fresh copy of the files into dir. State that is there stays.
func newDeployments(ctx context.Context, s *screen, p place, mirror, dir string) (*deployments, error) {
	program, err := terraformProgram(ctx)
	if err != nil {
		return nil, err
	}
	for _, path := range deploymentFiles {
		target := filepath.Join(dir, path)
		if err := os.RemoveAll(target); err != nil {
			return nil, err
		}
		if err := copyTree(path, target); err != nil {
			return nil, fmt.Errorf("copying %s to %s: %w", path, dir, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, demoSettingsFile), []byte(demoSettings(p)), 0o644); err != nil {
		return nil, err
	}
	// So that a change can be shown. Nothing is committed.
	for _, args := range [][]string{{"init", "--quiet"}, append([]string{"add", "--all"}, deploymentFiles...)} {
		git := exec.CommandContext(ctx, "git", args...)
		git.Dir = dir
		if out, err := git.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("git %s in %s: %w\n%s", args[0], dir, err, out)
		}
	}
	// It holds the checksum of an earlier build of the provider.
	if err := os.Remove(filepath.Join(dir, ".terraform.lock.hcl")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	config := filepath.Join(dir, "terraformrc")
	if err := os.WriteFile(config, []byte(mirrorConfig(mirror)), 0o644); err != nil {
		return nil, err
	}

	// What the user has set for other work must not change what the demo does.
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "TF_") || strings.HasPrefix(v, "KUBECONFIG=") || strings.HasPrefix(v, "KUBE_")
	})
	env = append(env, "KUBECONFIG="+p.kubeconfig, "TF_CLI_CONFIG_FILE="+config, "CHECKPOINT_DISABLE=1")
	env = append(env, secretEnv...)
	if !s.color {
		env = append(env, "TF_CLI_ARGS=-no-color")
	}
	return &deployments{screen: s, program: program, dir: dir, env: env, extra: p.variables()}, nil
}

// terraformProgram is terraform, or an OpenTofu that is built where there is none.
func terraformProgram(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "test/terraform.sh", "--path")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("finding terraform, or building OpenTofu: %w", err)
	}
	return string(bytes.TrimSpace(out)), nil
}

func mirrorConfig(mirror string) string {
	const providers = `["registry.terraform.io/slipway-dev/slipway", "registry.opentofu.org/slipway-dev/slipway"]`
	return fmt.Sprintf(`# Takes the provider from the build of the checkout instead of a registry.
provider_installation {
  filesystem_mirror {
    path    = %q
    include = %s
  }
  direct {
    exclude = %s
  }
}
`, mirror, providers, providers)
}

func copyTree(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if info.IsDir() {
		return os.CopyFS(to, os.DirFS(from))
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}

func (d *deployments) terraform(args ...string) command {
	return command{program: d.program, args: args, dir: d.dir, env: d.env}
}

func (d *deployments) init(ctx context.Context) error {
	init := d.terraform("init", "-input=false")
	init.show = onlyIfFailed
	return d.screen.must(ctx, init)
}

// workspace makes the workspace on the first run and selects it later.
func (d *deployments) workspace(ctx context.Context, name string) error {
	if d.workspaceExists(name) {
		return d.screen.must(ctx, d.terraform("workspace", "select", name))
	}
	return d.screen.must(ctx, d.terraform("workspace", "new", name))
}

func (d *deployments) workspaceExists(name string) bool {
	_, err := os.Stat(filepath.Join(d.dir, "terraform.tfstate.d", name))
	return err == nil
}

// varArgs are the arguments of a plan or apply for a client.
func (d *deployments) varArgs(c client) []string {
	return append([]string{"-var-file=" + c.varFile(), "-var-file=" + demoSettingsFile}, d.extra...)
}

// apply applies without asking, and without showing the plan.
func (d *deployments) apply(ctx context.Context, c client) error {
	apply := d.terraform(slices.Concat([]string{"apply"}, d.varArgs(c), []string{"-auto-approve"})...)
	apply.show = withoutPlan
	return d.screen.must(ctx, apply)
}

// plan plans into a file and reports whether there is anything to change.
func (d *deployments) plan(ctx context.Context, c client, file string) (changes bool, err error) {
	args := slices.Concat([]string{"plan"}, d.varArgs(c), []string{"-detailed-exitcode"})
	if file != "" {
		args = append(args, "-out="+file)
	}
	o, err := d.screen.run(ctx, d.terraform(args...))
	if err != nil {
		return false, err
	}
	if o.exitCode != 0 && o.exitCode != 2 {
		return false, fmt.Errorf("planning for %s failed", c.workspace())
	}
	return o.exitCode == 2, nil
}

// edit replaces text in a file of the repository, as an author of a pull request does.
func (d *deployments) edit(path string, replacements ...string) error {
	data, err := os.ReadFile(filepath.Join(d.dir, path))
	if err != nil {
		return err
	}
	text := string(data)
	for i := 0; i+1 < len(replacements); i += 2 {
		if !strings.Contains(text, replacements[i]) {
			return fmt.Errorf("%s has no %q to change", path, replacements[i])
		}
		text = strings.ReplaceAll(text, replacements[i], replacements[i+1])
	}
	return os.WriteFile(filepath.Join(d.dir, path), []byte(text), 0o644)
}
