// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
)

// files are paths in a folder with their contents.
type files map[string]string

// small is a fleet of three clients and a chart with a schema.
var small = files{
	"chart/Chart.yaml": "apiVersion: v2\nname: orders\nversion: 1.0.0\n",
	"chart/values.yaml": "replicas: 1\nimage:\n  repository: example.com/orders\n  tag: \"\"\ndatabase:\n  host: \"\"\n" +
		"  password: \"\"\nhosts: []\nlabels: {}\n",
	"chart/values.schema.json": `{"type": "object", "properties": {"replicas": {"type": "integer", "maximum": 9}, "labels": ` +
		`{"type": "object"}}}`,
	"clients/fleet.yaml": `version: 1
service: orders
chart: {path: ../chart}
stages: [dev, prod]
layers:
  - {name: defaults, file: values.yaml}
  - {name: stage, file: "stages/{stage}.yaml"}
  - {name: client, file: "{client}/values.yaml"}
  - {name: client-stage, file: "{client}/values-{stage}.yaml", optional: true}
  - name: identity
    values:
      database: {host: "{client}-{stage}.db.example.com"}
lists:
  - {path: hosts, rule: append}
locked:
  - {path: image.repository, layer: defaults}
required:
  - {path: image.tag}
identity:
  facts: [account_id]
  values: [database.host]
`,
	"clients/values.yaml":         "image:\n  repository: example.com/orders\n  tag: v1.0.0\nhosts: [all]\n",
	"clients/stages/dev.yaml":     "replicas: 1\n",
	"clients/stages/prod.yaml":    "replicas: 3\n",
	"clients/acme/client.yaml":    "tags: {ring: canary}\nfacts: {account_id: \"0123\"}\n",
	"clients/acme/values.yaml":    "hosts: [acme]\n",
	"clients/globex/client.yaml":  "facts: {account_id: \"0456\"}\nstages: {dev: , prod: {tags: {tier: gold}}}\n",
	"clients/globex/values.yaml":  "replicas: 4\n",
	"clients/initech/client.yaml": "facts: {account_id: \"0789\"}\nstages: {prod: }\n",
	"clients/initech/values.yaml": "",
}

// with are the files with others in their place; an empty name of a file with content "-" takes it away.
func (f files) with(others files) files {
	out := maps.Clone(f)
	for path, content := range others {
		if content == "-" {
			delete(out, path)
			continue
		}
		out[path] = content
	}
	return out
}

func (f files) write(t *testing.T) (clients string) {
	t.Helper()
	dir := t.TempDir()
	for path, content := range f {
		full := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "clients")
}

func resolveAll(t *testing.T, dir string) *Whole {
	t.Helper()
	f, err := Read(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.LoadChart(t.Context(), chart.NewLoader(t.TempDir(), nil)); err != nil {
		t.Fatal(err)
	}
	whole, err := f.ResolveAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

func TestRead_KnowsEnvironmentsTagsAndWaves(t *testing.T) {
	whole := resolveAll(t, small.write(t))
	var got []string
	for _, e := range whole.Environments {
		got = append(got, e.Name()+" "+e.WaveName)
	}
	want := []string{"acme/dev dev", "acme/prod prod", "globex/dev dev", "globex/prod prod", "initech/prod prod"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if len(whole.Findings) > 0 {
		t.Errorf("findings in a sound fleet: %+v", whole.Findings)
	}
	globex := whole.Find("globex", "prod")
	if globex.Tags["tier"] != "gold" || globex.Facts["account_id"] != "0456" || whole.Find("globex", "dev").Tags["tier"] != "" {
		t.Errorf("got %+v", globex)
	}
	for text, want := range map[string]int{
		"":                                   5,
		"stage=prod":                         3,
		"tier":                               1,
		"!tier":                              4,
		"client in (acme, globex),stage=dev": 2,
		"ring!=canary":                       3,
		"stage=test":                         0,
	} {
		selector, err := ParseSelector(text)
		if err != nil || len(whole.Select(selector)) != want {
			t.Errorf("%q selects %d, %v", text, len(whole.Select(selector)), err)
		}
	}
	if _, err := ParseSelector("stage=="); err == nil {
		if _, err = ParseSelector("stage in prod"); err == nil {
			t.Error("a selector that is none was taken")
		}
	}
}

func TestRead_TakesFactsFromTerraformVariables(t *testing.T) {
	description := strings.Replace(small["clients/fleet.yaml"], "stages: [dev, prod]",
		"stages: [dev, prod]\ntfvars: \"{client}/{stage}.tfvars\"\nfacts: {cluster: \"{context}-x\", zone: a}", 1)
	dir := small.with(files{
		"clients/fleet.yaml": description,
		"clients/acme/prod.tfvars": "client = \"acme\"\ncontext = \"acme-prod\"\nprotect = true\nsize = 12345678901\nlist = [1]\n" +
			"nothing = null\n",
	}).write(t)
	if _, err := Read(t.Context(), dir); err == nil {
		t.Fatal("globex lists its stages, and has no context")
	}
	description = strings.Replace(description, "cluster: \"{context}-x\", ", "", 1)
	dir = small.with(files{
		"clients/fleet.yaml": description,
		"clients/acme/prod.tfvars": "client = \"acme\"\ncontext = \"acme-prod\"\nprotect = true\nsize = 12345678901\nlist = [1]\n" +
			"nothing = null\n",
	}).write(t)
	f, err := Read(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	acme := f.Find("acme", "prod")
	want := map[string]string{"account_id": "0123", "context": "acme-prod", "protect": "true", "size": "12345678901", "zone": "a"}
	if !maps.Equal(acme.Facts, want) || f.Find("acme", "dev") != nil {
		t.Errorf("got %+v; dev %v", acme.Facts, f.Find("acme", "dev"))
	}
	for text, line := range map[string]int{"client = \"globex\"\n": 0, "x = \"a\"\ncontext = var.x\n": 2, "a = \n": 1, "x {\n}\n": 1} {
		broken := small.with(files{"clients/fleet.yaml": description, "clients/acme/prod.tfvars": text}).write(t)
		_, err := Read(t.Context(), broken)
		var described *DescriptionError
		if !errors.As(err, &described) || described.Line != line {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestRead_RefusesMistakesWithTheirPlace(t *testing.T) {
	base := small["clients/fleet.yaml"]
	replaced := func(from, to string) files {
		if !strings.Contains(base, from) {
			t.Fatalf("%q is not in the description", from)
		}
		return files{"clients/fleet.yaml": strings.Replace(base, from, to, 1)}
	}
	for name, test := range map[string]struct {
		change files
		file   string
		line   int
		text   string
	}{
		"another version":   {replaced("version: 1", "version: 2"), "fleet.yaml", 0, "reads version 1"},
		"an unknown field":  {replaced("locked:", "lock:"), "fleet.yaml", 15, `there is no "lock" here`},
		"no layers":         {replaced("layers:", "lists:"), "fleet.yaml", 0, "already defined"},
		"a stage twice":     {replaced("[dev, prod]", "[dev, dev]"), "fleet.yaml", 0, "listed once"},
		"a layer twice":     {replaced("name: stage", "name: defaults"), "fleet.yaml", 0, "is listed once"},
		"an unknown layer":  {replaced("layer: defaults", "layer: default"), "fleet.yaml", 0, "which there is not"},
		"a rule of no kind": {replaced("rule: append", "rule: add"), "fleet.yaml", 0, "replace, append and merge"},
		"an absolute file":  {replaced("file: values.yaml", "file: /etc/passwd"), "fleet.yaml", 0, "must be relative"},
		"a wrong selector":  {replaced("{path: image.tag}", "{path: image.tag, select: \"a in b\"}"), "fleet.yaml", 18, "is no selector"},
		"inline duplicate": {
			replaced("database: {host: \"{client}-{stage}.db.example.com\"}", "on: !foo bar"), "fleet.yaml", 12, "the tag !foo",
		},
		"an unknown stage":    {files{"clients/acme/client.yaml": "stages: {test: }\n"}, "client.yaml", 0, "none of the fleet's"},
		"a reserved tag":      {files{"clients/acme/client.yaml": "tags: {stage: x}\n"}, "client.yaml", 0, "cannot be a tag"},
		"a client's name":     {files{"clients/Acme_2/client.yaml": "{}"}, "Acme_2", 0, "lower-case"},
		"no description":      {files{"clients/fleet.yaml": "-"}, "fleet.yaml", 0, "no such file"},
		"broken client.yaml":  {files{"clients/acme/client.yaml": "tags:\n  a: [\n"}, "client.yaml", 0, ""},
		"unknown in a client": {files{"clients/acme/client.yaml": "tags: {}\ntag: {}\n"}, "client.yaml", 2, `there is no "tag" here`},
		"tags in a list": {
			files{"clients/acme/client.yaml": "tags: [a, b]\n"}, "client.yaml", 1,
			"a list is given where a map of texts is needed",
		},
		"stages in a list": {
			files{"clients/acme/client.yaml": "facts: {}\nstages: [dev]\n"}, "client.yaml", 2,
			"a list is given where a map is needed",
		},
		"a text alone":        {files{"clients/acme/client.yaml": "hello\n"}, "client.yaml", 1, "a text is given where a map is needed"},
		"stages as a text":    {replaced("[dev, prod]", "dev"), "fleet.yaml", 4, "a text is given where a list is needed"},
		"a tag without value": {files{"clients/acme/client.yaml": "tags:\n  a: x\n  ring:\n"}, "client.yaml", 3, "ring has no value"},
		"a tag twice":         {files{"clients/acme/client.yaml": "tags: {a: x, a: y}\n"}, "client.yaml", 1, "already defined"},
		"a second document": {
			files{"clients/acme/client.yaml": "tags: {a: x}\n---\ntags: {a: y}\n"}, "client.yaml", 2, "a second document begins",
		},
		"and in fleet.yaml": {files{"clients/fleet.yaml": base + "---\nversion: 2\n"}, "fleet.yaml", 0, "a second document begins"},
		"no UTF-8":          {files{"clients/acme/client.yaml": "tags:\n  ring: caf\xe9\n"}, "client.yaml", 2, "no UTF-8"},
		"a selector as a map": {
			replaced("{path: image.tag}", "{path: image.tag, select: {stage: prod}}"), "fleet.yaml", 18, "a selector is a text",
		},
		"an absolute output": {replaced("stages: [dev", "output: /srv/environments\nstages: [dev"), "fleet.yaml", 0, "relative"},
		"output over layers": {replaced("stages: [dev", "output: x/..\nstages: [dev"), "fleet.yaml", 0, "and not the same"},
		"a wave called any":  {replaced("lists:", "waves: [{name: any}]\nlists:"), "fleet.yaml", 0, "have something else under this name"},
		"a stray brace":      {replaced("stages/{stage}.yaml", "stages/{stage.yaml"), "fleet.yaml", 0, "a brace that belongs to no placeholder"},
		"a circle of facts":  {replaced("lists:", "facts: {a: \"{b}\", b: \"{a}\"}\nlists:"), "client.yaml", 0, "not of each other"},
		"no wave":            {replaced("lists:", "waves: [{name: a, select: stage=dev}]\nlists:"), "client.yaml", 0, "no wave selects it"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(t.Context(), small.with(test.change).write(t))
			if err == nil {
				t.Fatal("it was taken")
			}
			if !strings.Contains(err.Error(), test.text) || !strings.Contains(err.Error(), test.file) {
				t.Errorf("got %v", err)
			}
			var described *DescriptionError
			if errors.As(err, &described) && test.line > 0 && described.Line != test.line {
				t.Errorf("got line %d: %v", described.Line, err)
			}
		})
	}
}

func TestResolveAll_FindsWhatIsWrong(t *testing.T) {
	for name, test := range map[string]struct {
		change files
		rule   string
		place  string // file:line
		text   string
		count  int // environments
	}{
		"a null under a lock": {
			files{
				"clients/fleet.yaml":       strings.Replace(small["clients/fleet.yaml"], "path: image.repository", "path: \"*.repository\"", 1),
				"clients/acme/values.yaml": "replicas: 2\nimage: null\n",
			},
			RuleLocked, "acme/values.yaml:2", "image is locked", 2,
		},
		"a misspelled key": {
			files{"clients/acme/values.yaml": "hosts: []\nreplicsa: 2\n"}, RuleUnknown, "acme/values.yaml:2",
			"did you mean replicas?", 2,
		},
		"outside the schema": {
			files{"clients/stages/prod.yaml": "replicas: 12\n", "clients/globex/values.yaml": ""}, RuleSchema,
			"stages/prod.yaml:1", "at most 9", 3,
		},
		"a locked key": {
			files{"clients/acme/values.yaml": "image: {repository: other}\n"}, RuleLocked, "acme/values.yaml:1",
			"image.repository is locked after layer defaults", 2,
		},
		"above a locked key": {files{"clients/acme/values.yaml": "image: null\n"}, RuleLocked, "acme/values.yaml:1", "image is locked", 2},
		"a missing key":      {files{"clients/values.yaml": "hosts: []\n"}, RuleRequired, "", "image.tag must be set by a layer", 5},
		"an empty key": {
			files{"clients/acme/values-prod.yaml": "image: {tag: \"\"}\n"}, RuleRequired, "acme/values-prod.yaml:1",
			"image.tag is empty", 1,
		},
		"a null over a default": {
			files{"clients/acme/values.yaml": "replicas: null\n"}, RuleNull, "acme/values.yaml:1",
			"would remove the default of the chart (1)", 2,
		},
		"another kind": {files{"clients/acme/values.yaml": "database: none\n"}, RuleType, "", "", 0},
		"a trap": {
			files{"clients/acme/values.yaml": "image: {tag: 1.10}\n"}, RuleTrap, "acme/values.yaml:1",
			"1.10 without quotes is the number 1.1", 2,
		},
		"a password": {
			files{"clients/acme/values.yaml": "database: {password: hunter2}\n"}, RuleSecret, "acme/values.yaml:1",
			"looks like a secret (7 characters, not shown)", 2,
		},
		"another's host": {
			files{"clients/acme/values.yaml": "labels: {db: \"postgres://globex-prod.db.example.com:5432/x\"}\n"}, RuleForeign,
			"acme/values.yaml:1", "belongs to globex", 2,
		},
		"another's account": {
			files{"clients/acme/values.yaml": "labels: {role: \"arn:aws:iam::0456:role/x\"}\n"}, RuleForeign,
			"acme/values.yaml:1", "belongs to globex", 2,
		},
		"another's name": {
			files{"clients/acme/values.yaml": "labels: {bucket: globex-data}\n"}, RuleForeign, "acme/values.yaml:1",
			"belongs to globex", 2,
		},
		"one account for two": {
			files{"clients/acme/client.yaml": "facts: {account_id: \"0456\"}\n"}, RuleForeign, "globex/client.yaml",
			"clients acme and globex", 2,
		},
		"a broken file":  {files{"clients/acme/values.yaml": "a: 1\na: 2\n"}, RuleFile, "acme/values.yaml:2", "is defined twice", 2},
		"a missing file": {files{"clients/acme/values.yaml": "-"}, RuleFile, "acme/values.yaml", "there is no such file", 2},
		"locked, in place": {
			files{"clients/fleet.yaml": strings.Replace(small["clients/fleet.yaml"], "database: {host: ",
				"image: {repository: \"x/{client}\"}\n      database: {host: ", 1)},
			RuleLocked, "clients/fleet.yaml:12", "image.repository is locked after layer defaults, and layer identity sets it",
			5,
		},
		"unknown, in place": {
			files{"clients/fleet.yaml": strings.Replace(small["clients/fleet.yaml"], "database: {host: ", "databaes: {host: ", 1)},
			RuleUnknown, "clients/fleet.yaml:12", "did you mean database?", 5,
		},
		"a secret, in place": {
			files{"clients/fleet.yaml": strings.Replace(small["clients/fleet.yaml"], "database: {host: ",
				"database: {password: \"hunter2-{client}\", host: ", 1)},
			RuleSecret, "clients/fleet.yaml:12", "looks like a secret", 2,
		},
		"a folder for a file": {
			files{"clients/acme/values.yaml": "-", "clients/acme/values.yaml/x": ""}, RuleFile, "acme/values.yaml",
			"layer client: is a directory", 2,
		},
		"a way out": {
			files{
				"clients/fleet.yaml":       strings.Replace(small["clients/fleet.yaml"], "stages/{stage}.yaml", "stages/{ring}.yaml", 1),
				"clients/acme/client.yaml": "tags: {ring: ../../chart/values}\n",
			},
			RuleFile, "acme/client.yaml", "which cannot be a part of the file name", 2,
		},
		"no such tag": {
			files{"clients/fleet.yaml": strings.Replace(small["clients/fleet.yaml"], "stages/{stage}.yaml", "stages/{tier}.yaml", 1)},
			RuleFile, "clients/fleet.yaml",
			"layer stage: \"stages/{tier}.yaml\" needs {tier}, and there is no such tag or fact", 4,
		},
		"a misspelled file name": {
			files{"clients/acme/values-pord.yaml": "replicas: 2\n"}, RuleStray, "acme/values-pord.yaml",
			"nothing reads values-pord.yaml; did you mean values-prod.yaml?", 2,
		},
		"one namespace for two": {
			files{
				"clients/acme/client.yaml":   "facts: {account_id: \"0123\", context: shared, namespace: orders}\nstages: {prod: }\n",
				"clients/globex/client.yaml": "facts: {account_id: \"0456\", context: shared, namespace: orders}\nstages: {prod: }\n",
			},
			RulePlace, "globex/client.yaml",
			"namespace orders of cluster shared is the place of acme/prod and of globex/prod", 2,
		},
		"a misspelled tag": {
			files{"clients/acme/client.yaml": strings.Replace(small["clients/acme/client.yaml"], "{ring", "{teir: gold, ring", 1)},
			RuleTag, "acme/client.yaml", "tag teir: no other client has it; did you mean tier?", 2,
		},
		"a folder that is none": {files{"clients/umbrella/values.yaml": ""}, RuleStray, "umbrella", "has no client.yaml", 0},
		"the same again": {
			files{"clients/acme/values-prod.yaml": "replicas: 3\n"}, RuleUseless, "acme/values-prod.yaml:1",
			"it is the same without this line", 1,
		},
		"overridden everywhere": {
			files{
				"clients/acme/values.yaml":      "replicas: 2\n",
				"clients/acme/values-prod.yaml": "replicas: 5\n",
				"clients/acme/values-dev.yaml":  "replicas: 4\n",
			},
			RuleUseless, "acme/values.yaml:1", "a later layer overrides it", 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			whole := resolveAll(t, small.with(test.change).write(t))
			if test.text == "" {
				return
			}
			var others []string
			for _, finding := range whole.Findings {
				if finding.Rule == test.rule && strings.HasSuffix(finding.String(), test.place) && strings.Contains(finding.Text, test.text) &&
					len(finding.Environments) == test.count {
					return
				}
				others = append(others, finding.Rule+" "+finding.String()+" "+finding.Text+" ["+strings.Join(finding.Environments, " ")+"]")
			}
			t.Errorf("not found among\n%s", strings.Join(others, "\n"))
		})
	}
}

func TestResolveAll_LocksWithAnyKeyMeanMapsOnly(t *testing.T) {
	whole := resolveAll(t, small.with(files{"clients/fleet.yaml": strings.Replace(small["clients/fleet.yaml"], "path: image.repository",
		"path: \"*.repository\"", 1)}).write(t))
	if len(whole.Findings) > 0 {
		t.Errorf("scalars next to image are no %v", whole.Findings)
	}
}

func TestRead_TakesNoSecretsFromTerraformVariables(t *testing.T) {
	description := strings.Replace(small["clients/fleet.yaml"], "stages: [dev, prod]",
		"stages: [dev, prod]\ntfvars: \"{client}/{stage}.tfvars\"", 1)
	f, err := Read(t.Context(), small.with(files{
		"clients/fleet.yaml":       description,
		"clients/acme/prod.tfvars": "context = \"acme-prod\"\ndb_password = \"hunter2\"\nurl = \"postgres://u:hunter2@h/x\"\n",
	}).write(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Find("acme", "prod").Facts; !maps.Equal(got, map[string]string{"account_id": "0123", "context": "acme-prod"}) {
		t.Errorf("got facts of the names %v", slices.Sorted(maps.Keys(got)))
	}
}

func TestResolveAll_FindsOutliers(t *testing.T) {
	many := small.with(files{"clients/acme/values.yaml": "labels: {special: \"yes\"}\n"})
	for i := range 20 {
		name := "client" + string(rune('a'+i))
		many["clients/"+name+"/client.yaml"] = "facts: {account_id: \"9" + name + "\"}\n"
		many["clients/"+name+"/values.yaml"] = "replicas: 3\n"
	}
	many["clients/clientc/values-prod.yaml"] = "replicas: 7\n"
	many["clients/globex/values.yaml"] = ""
	found := map[string]string{}
	for _, finding := range resolveAll(t, many.write(t)).Findings {
		if finding.Rule == RuleOutlier {
			found[finding.Key+" "+strings.Join(finding.Environments, ",")] = finding.Text
		}
	}
	if text := found["replicas clientc/prod"]; !strings.Contains(text, "replicas is 7 here, and 3 in 22 of 23 environments of stage prod") {
		t.Errorf("got %v", found)
	}
	for key := range found {
		if strings.HasPrefix(key, "database.host") {
			t.Errorf("what is another for each is no outlier: %v", key)
		}
	}
}

func TestFindings_ShowNoSecret(t *testing.T) {
	const canary = "hunter2-canary-7f3a"
	dir := small.with(files{
		"clients/acme/values.yaml":   "database: {password: " + canary + ", host: \"postgres://u:" + canary + "@h/x\"}\n",
		"clients/globex/values.yaml": "labels: {token: " + canary + "}\n",
	}).write(t)
	whole := resolveAll(t, dir)
	report, err := whole.Report(Base{})
	if err != nil {
		t.Fatal(err)
	}
	before, err := whole.Report(Base{
		"acme/prod":   []byte(headerMark + "1)\ndatabase: {password: old-" + canary + "}\n"),
		"globex/prod": []byte(headerMark + "1)\ndatabase: {}\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, r := range whole.Resolved {
		explained, err := whole.ExplainKey(r, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range explained {
			all.WriteString(one.Text())
		}
	}
	all.WriteString(report.Markdown("prod", 0) + before.Markdown("prod", 0))
	text := all.String()
	if at := strings.Index(text, canary); at >= 0 {
		t.Errorf("the secret is shown: …%s…", text[max(0, at-200):at+40])
	}
	if len(report.Findings) < 3 {
		t.Errorf("got %+v", report.Findings)
	}
}
