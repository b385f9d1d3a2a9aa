// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// required are the attributes without which a resource is refused, for examples that leave them out with "# …".
var required = map[string]string{
	"slipway_release": "chart = { path = \"chart\" }",
}

var (
	blockHead = regexp.MustCompile(`(?m)^(resource|data|provider|variable|terraform|removed|import|module) `)
	declared  = regexp.MustCompile(`(?m)^(?:resource|data) "(\w+)" "(\w+)"`)
	mentioned = regexp.MustCompile(`\b(slipway_(?:environment|release))\.(\w+)`)
	variables = regexp.MustCompile(`\bvar\.(\w+)`)
)

// complete makes a configuration of an example: what it refers to and what it leaves out is added, as little as possible.
func complete(t *testing.T, example, before string) string {
	t.Helper()
	if !blockHead.MatchString(example) {
		// A block of the resource in the example before. It takes the place of such a block there.
		if strings.HasPrefix(strings.TrimSpace(example), "client ") {
			return "" // a file of variables
		}
		names, _, _ := strings.Cut(strings.TrimSpace(example), " ")
		if names == "http_route" {
			names += "|istio" // one or the other
		}
		before = regexp.MustCompile(`(?ms)^  (?:`+names+`) \{.*?^  \}\n`).ReplaceAllString(before, "")
		at := strings.LastIndex(before, "}")
		if at < 0 {
			t.Fatalf("no example before this one has a resource for it:\n%s", example)
		}
		example = before[:at] + example + "}\n"
	}
	example = regexp.MustCompile(`(?s)(resource "(\w+)" "\w+" \{)([^}]*?)# …\n`).ReplaceAllStringFunc(example, func(found string) string {
		parts := regexp.MustCompile(`(?s)^(resource "(\w+)" "\w+" \{)`).FindStringSubmatch(found)
		missing := required[parts[2]]
		if !strings.Contains(found, "environment ") {
			missing += "\n  environment = slipway_environment.this"
		}
		return strings.Replace(found, "# …", missing, 1)
	})
	known := map[string]bool{}
	for _, d := range declared.FindAllStringSubmatch(example, -1) {
		known[d[1]+"."+d[2]] = true
	}
	removed := strings.Contains(example, "removed {")
	for _, m := range mentioned.FindAllStringSubmatch(example, -1) {
		if address := m[1] + "." + m[2]; !known[address] && !removed {
			known[address] = true
			if m[1] == "slipway_environment" {
				example += fmt.Sprintf(`
resource "slipway_environment" %q {
  client    = "client-a"
  stage     = "prod"
  cluster   = { context = "client-a-prod" }
  namespace = { name = "data-collection-client-a" }
}
`, m[2])
				continue
			}
			example += fmt.Sprintf(`
resource "slipway_release" %[1]q {
  environment = slipway_environment.this
  name        = %[1]q
  chart       = { path = "chart" }
}
`, m[2])
		}
	}
	if strings.Contains(example, "slipway_environment.this") && !known["slipway_environment.this"] {
		example += "\n" + `resource "slipway_environment" "this" {
  client    = "client-a"
  stage     = "prod"
  cluster   = { context = "client-a-prod" }
  namespace = { name = "data-collection-client-a" }
}
`
	}
	for _, v := range variables.FindAllStringSubmatch(example, -1) {
		if !strings.Contains(example, `variable "`+v[1]+`"`) {
			example += fmt.Sprintf("\nvariable %q {\n  default = %q\n}\n", v[1], "client-a")
		}
	}
	if strings.Contains(example, "module.cluster.") {
		example += "\nmodule \"cluster\" {\n  source = \"./cluster\"\n}\n"
	}
	if !strings.Contains(example, "terraform {") {
		example += "\nterraform {\n  required_providers {\n    slipway = { source = \"slipway-dev/slipway\" }\n  }\n}\n"
	}
	return example
}

// Each example of configuration in the guides is accepted as it stands.
func TestGuide_ExamplesAreValid(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(repository, "templates", "guides", "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no guides: %v", err)
	}
	// One directory for all: init, for the module that one example calls, is the slowest part.
	w := newWorkspace(t, nil)
	if err := os.Mkdir(filepath.Join(w.dir, "cluster"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.write(
		"cluster/outputs.tf",
		"output \"endpoint\" {\n  value = \"https://cluster.example.com\"\n}\noutput \"ca_certificate\" {\n  value = \"none\"\n}\n",
	)
	checked := 0
	for _, file := range files {
		g := readGuide(t, strings.TrimSuffix(filepath.Base(file), ".md"))
		if !strings.Contains(g.text, "```terraform") {
			continue
		}
		before := ""
		for _, example := range g.blocks("terraform") {
			text := complete(t, example, before)
			if blockHead.MatchString(example) {
				before = example
			}
			if text == "" {
				continue
			}
			w.write("main.tf", text)
			if strings.Contains(text, "module \"cluster\"") {
				w.must("get", "-no-color")
			}
			if r := w.run("validate", "-no-color"); r.code != 0 {
				t.Errorf("guide %s: an example is refused:\n%s\n%s", g.name, text, r.text)
			}
			checked++
		}
	}
	if checked < 12 {
		t.Errorf("%d examples were found, where there were 12 and more", checked)
	}
}
