// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// shell runs the commands of a guide where terraform is the program under test, and its provider comes from a mirror, as an installed
// one does.
type shell struct {
	t   *testing.T
	dir string
	env []string
}

// newShell makes a directory to work in and a kubeconfig with these contexts, all of the test's cluster.
func newShell(t *testing.T, contexts ...string) *shell {
	t.Helper()
	s := &shell{t: t, dir: t.TempDir()}
	bin, mirror := t.TempDir(), t.TempDir()
	if err := os.Symlink(cli, filepath.Join(bin, "terraform")); err != nil {
		t.Fatal(err)
	}
	const version = "0.0.1"
	for _, host := range []string{"registry.terraform.io", "registry.opentofu.org"} {
		dir := filepath.Join(mirror, host, "slipway-dev", "slipway", version, "linux_amd64")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		program := filepath.Join(dir, "terraform-provider-slipway_v"+version)
		if err := os.Symlink(filepath.Join(providerDir, "terraform-provider-slipway"), program); err != nil {
			t.Fatal(err)
		}
	}
	settings := filepath.Join(bin, "cli.tfrc")
	text := fmt.Sprintf("provider_installation {\n  filesystem_mirror { path = %q }\n}\n", mirror)
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range contexts {
		config.Contexts[name] = config.Contexts[harness.Context(t)].DeepCopy()
	}
	path := filepath.Join(bin, "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	s.env = append(environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "KUBECONFIG="+path, "TF_CLI_CONFIG_FILE="+settings,
		"TF_CLI_ARGS=-no-color", "TF_CLI_ARGS_apply=-auto-approve", "TF_CLI_ARGS_destroy=-auto-approve", "CHECKPOINT_DISABLE=1")
	return s
}

func (s *shell) write(name, content string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// run runs the commands of a block, of which none may fail.
func (s *shell) run(commands string) string {
	s.t.Helper()
	command := exec.CommandContext(s.t.Context(), "bash", "-euo", "pipefail", "-c", commands)
	command.Dir, command.Env = s.dir, s.env
	out, err := command.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", commands, err, out)
	}
	return string(out)
}

// The whole guide for newcomers, from its own text: two clients, an upgrade by a reviewed plan, a secret, and the end of an environment.
func TestGuide_GettingStarted(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	g := readGuide(t, "getting-started")
	files, first := g.section("The repository").blocks("terraform"), g.section("The first deployment").blocks("shell")
	upgrade := g.section("An upgrade").blocks("shell")
	s := newShell(t, "client-a-prod", "client-b-prod")
	for _, name := range []string{"data-collection-client-a", "data-collection-client-b"} {
		harness.RemoveNamespace(t, name)
	}
	copyTree(t, harness.SampleChart(), filepath.Join(s.dir, "charts", "data-collection-service"))
	s.write("main.tf", files[0])
	s.write(
		"clients/values.yaml",
		"autoscaling: {enabled: false}\nreplicaCount: 1\npreStopSleepSeconds: 2\nterminationGracePeriodSeconds: 4\n",
	)
	ofB := strings.NewReplacer("client-a", "client-b")
	for _, client := range []string{"client-a", "client-b"} {
		s.write("clients/"+client+"/values.yaml", "config: {CLIENT: "+client+"}\n")
	}
	s.write("clients/client-a/prod.tfvars", files[1])
	s.write("clients/client-b/prod.tfvars", ofB.Replace(files[1]))

	s.run(first[0])
	s.run(first[1])
	s.write("clients/client-a/prod.tfvars", strings.Replace(files[1], "v1.1.1", "v1.2.0", 1))
	if text := s.run(upgrade[0]); !strings.Contains(text, "change_summary") || !strings.Contains(text, "v1.2.0") {
		t.Errorf("the plan of the upgrade does not show it:\n%s", text)
	}
	s.run(upgrade[1])

	// The example of a secret, put into the configuration above.
	variable, resource, _ := strings.Cut(g.section("Secrets").blocks("terraform")[0], "\nresource ")
	_, lines, found := strings.Cut(resource, "# …\n")
	if !found {
		t.Fatalf("the example of a secret does not say where the other attributes are:\n%s", resource)
	}
	s.write("main.tf", strings.TrimSuffix(strings.TrimSpace(files[0]), "}")+lines+"\n"+variable)
	const token = "guide-token-7f3a"
	s.env = append(s.env, "TF_VAR_api_token="+token)
	text := s.run("terraform apply -var-file=clients/client-a/prod.tfvars\nterraform show -json")
	if strings.Contains(text, token) {
		t.Error("the secret of the guide's example is in the output or in the state")
	}
	if text := s.run("terraform plan -var-file=clients/client-a/prod.tfvars"); !strings.Contains(text, "No changes.") {
		t.Errorf("a plan after the guide's applies is not empty:\n%s", text)
	}

	end := g.section("Destroying an environment").blocks("shell")[0]
	s.run(end)
	s.run("terraform workspace select client-b-prod\n" + ofB.Replace(end))
	if left := s.run("terraform state list"); strings.TrimSpace(left) != "" {
		t.Errorf("after the destroy, the state contains %s", left)
	}
}
