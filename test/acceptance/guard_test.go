// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"fmt"
	"strings"
	"testing"
)

// The commands of the strategy, and the mistake that they invite: the var-file of another client.
func TestWorkspace_RefusesTheVarFileOfAnotherClient(t *testing.T) {
	t.Parallel()
	a, b := newTenant(t), newTenant(t)
	config := strings.NewReplacer(
		`"`+a.client+`-prod"`, "terraform.workspace",
		`"`+a.client+`"`, "var.client",
		`"`+a.namespace+`"`, "var.namespace",
	).Replace(a.stack("v1.1.1", quick, "")) + `
variable "client" { type = string }
variable "namespace" { type = string }
`
	varFile := func(c tenant) string {
		return fmt.Sprintf("client = %q\nnamespace = %q\n", c.client, c.namespace)
	}
	w := newWorkspace(t, map[string]string{"main.tf": config, "a.tfvars": varFile(a), "b.tfvars": varFile(b)})
	w.must("workspace", "new", a.client+"-prod")

	want := func(command, text string) {
		t.Helper()
		for _, part := range []string{a.client + "-prod", b.client + "-prod"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s: the error does not name %s:\n%s", command, part, text)
			}
		}
	}
	want("plan before anything is there", w.refused("plan", "-no-color", "-input=false", "-var-file=b.tfvars"))
	w.apply("-var-file=a.tfvars")
	want("plan", w.refused("plan", "-no-color", "-input=false", "-var-file=b.tfvars"))
	want("apply", w.refused("apply", "-auto-approve", "-no-color", "-input=false", "-var-file=b.tfvars"))
	want("destroy", w.refused("destroy", "-auto-approve", "-no-color", "-input=false", "-var-file=b.tfvars"))

	// The state of client A under the workspace of client B: what a copied state or a wrong backend key does.
	w.must("workspace", "new", b.client+"-prod")
	copyFile(t, w, w, "terraform.tfstate.d/"+a.client+"-prod/terraform.tfstate", "terraform.tfstate.d/"+b.client+"-prod/terraform.tfstate")
	want("destroy without refresh", w.refused("destroy", "-auto-approve", "-refresh=false", "-no-color", "-input=false", "-var-file=b.tfvars"))
	w.write("main.tf", config[:strings.Index(config, `resource "slipway_environment"`)]+`
variable "client" { type = string }
variable "namespace" { type = string }
`)
	want("destroy of resources that are gone from the configuration",
		w.refused("apply", "-auto-approve", "-refresh=false", "-no-color", "-input=false", "-var-file=b.tfvars"))
	w.write("main.tf", config)
	a.answersWith("v1.1.1")

	w.must("workspace", "select", a.client+"-prod")
	w.must("destroy", "-auto-approve", "-no-color", "-input=false", "-var-file=a.tfvars")
}
