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

// guide is the text of a guide from which a test takes what it applies, so that the guide cannot say anything else.
type guide struct {
	t    *testing.T
	name string
	text string
}

func readGuide(t *testing.T, name string) guide {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "templates", "guides", name+".md"))
	if err != nil {
		t.Fatal(err)
	}
	return guide{t: t, name: name, text: string(text)}
}

// section is the part of the guide under a heading of the second level.
func (g guide) section(heading string) guide {
	g.t.Helper()
	_, after, found := strings.Cut(g.text, "\n## "+heading+"\n")
	if !found {
		g.t.Fatalf("guide %s has no section %q", g.name, heading)
	}
	g.text, _, _ = strings.Cut(after, "\n## ")
	return g
}

var fence = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")

// blocks are the code blocks of one language, in the order of the text.
func (g guide) blocks(language string) []string {
	g.t.Helper()
	var out []string
	for _, found := range fence.FindAllStringSubmatch(g.text, -1) {
		if found[1] == language {
			out = append(out, found[2])
		}
	}
	if len(out) == 0 {
		g.t.Fatalf("guide %s has no block of %s here", g.name, language)
	}
	return out
}

var numbered = regexp.MustCompile(`(?m)^(\d+)\. (.*(?:\n {3}.*)*)`)

// steps are the texts of a numbered list.
func (g guide) steps() []string {
	g.t.Helper()
	var out []string
	for i, found := range numbered.FindAllStringSubmatch(g.text, -1) {
		if found[1] != fmt.Sprint(i+1) {
			g.t.Fatalf("guide %s: step %d has number %s", g.name, i+1, found[1])
		}
		out = append(out, found[2])
	}
	if len(out) == 0 {
		g.t.Fatalf("guide %s has no steps here", g.name)
	}
	return out
}

var (
	setting  = regexp.MustCompile("`(\\w+) = ([^`]+)`")
	removing = regexp.MustCompile("[Rr]emove `(\\w+)`")
)

// follow edits a block of HCL as a step says: it sets the attributes that the step gives as `name = value`, and removes those of
// "remove `name`". The step must say something, and each attribute must be in the block.
func (g guide) follow(step, block string) string {
	g.t.Helper()
	replace := func(attribute, line string) {
		found := regexp.MustCompile(`(?m)^( *)` + attribute + ` += .*\n`)
		if !found.MatchString(block) {
			g.t.Fatalf("guide %s: %q changes %s, which is not in\n%s", g.name, step, attribute, block)
		}
		block = found.ReplaceAllString(block, line)
	}
	set, removed := setting.FindAllStringSubmatch(step, -1), removing.FindAllStringSubmatch(step, -1)
	if len(set)+len(removed) == 0 {
		g.t.Fatalf("guide %s: step %q changes no attribute", g.name, step)
	}
	for _, s := range set {
		replace(s[1], "${1}"+s[1]+" = "+s[2]+"\n")
	}
	for _, r := range removed {
		replace(r[1], "")
	}
	return block
}

// hurry shortens the times of an example to seconds: how long an analysis lasts does not change what the example does.
func hurry(block string) string {
	block = regexp.MustCompile(`(?m)^( *)duration = "\d+m"$`).ReplaceAllString(block, "${1}duration = \"6s\"\n${1}interval = \"1s\"")
	return regexp.MustCompile(`"\d+m"`).ReplaceAllString(block, `"6s"`)
}
