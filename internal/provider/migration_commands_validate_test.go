// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	frameworkresource "github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// validatedMigration returns the diagnostics of a configuration, each as "path: text".
func validatedMigration(t *testing.T, arguments body) []string {
	t.Helper()
	server, err := providerserver.NewProtocol6WithError(New("test")())()
	if err != nil {
		t.Fatal(err)
	}
	var schema frameworkresource.SchemaResponse
	NewMigrationResource().Schema(t.Context(), frameworkresource.SchemaRequest{}, &schema)
	of, ok := schema.Schema.Type().TerraformType(t.Context()).(tftypes.Object)
	if !ok {
		t.Fatal("the resource is no object")
	}
	values := map[string]tftypes.Value{}
	for name, attribute := range of.AttributeTypes {
		values[name] = tftypes.NewValue(attribute, nil)
		if given, ok := arguments[name]; ok {
			values[name] = value(t, attribute, given)
		}
	}
	encoded, err := tfprotov6.NewDynamicValue(of, tftypes.NewValue(of, values))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.ValidateResourceConfig(t.Context(), &tfprotov6.ValidateResourceConfigRequest{
		TypeName: "slipway_migration", Config: &encoded,
		ClientCapabilities: &tfprotov6.ValidateResourceConfigClientCapabilities{WriteOnlyAttributesAllowed: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, d := range resp.Diagnostics {
		out = append(out, pathText(d.Attribute)+": "+d.Summary+": "+d.Detail)
	}
	return out
}

func TestMigrationCommands_AndFilesRefuseWhatIsForTheOther(t *testing.T) {
	t.Parallel()
	key := body{"name": "migrator", "key": "url"}
	files := func(more body) body { return merge(body{"directory": "migrations", "database_url_wo": "u"}, more) }
	tool := func(more, inner body) body {
		return merge(body{"image": "tool:v1", "commands": merge(body{"version": "v1", "run": []any{"tool"}}, inner)}, more)
	}
	for name, test := range map[string]struct {
		arguments body
		want      []string // nothing: it is accepted
	}{
		"files":                         {files(nil), nil},
		"files with a Secret":           {body{"directory": "migrations", "credentials_secret": key}, nil},
		"a directory that is not known": {body{"directory": notKnown{}}, nil},
		"a tool":                        {tool(nil, nil), nil},
		"a tool with a URL":             {tool(body{"database_url_wo": "u", "runner": "job"}, body{"url_variable": "PG"}), nil},
		"a tool that is not known":      {body{"commands": notKnown{}, "baseline": int64(1)}, nil},
		"a rollback":                    {tool(nil, body{"rollback": []any{"tool"}, "allow_rollback": true}), nil},

		"both":                {merge(files(nil), tool(nil, nil)), []string{"commands: Either SQL files or a tool"}},
		"neither":             {body{"database_url_wo": "u"}, []string{"directory: Nothing to migrate with"}},
		"files without a URL": {body{"directory": "migrations"}, []string{"database_url_wo: The database's URL is missing"}},
		"two URLs": {
			tool(body{"database_url_wo": "u", "credentials_secret": key}, nil),
			[]string{"database_url_wo: The database's URL is given twice"},
		},
		"what is for the linter": {
			tool(body{"postgres_version": int64(17), "small_tables": []any{"t"}, "acknowledge": []any{body{"rule": "r", "reason": "x"}}}, nil),
			[]string{
				"postgres_version: postgres_version is for SQL files", "small_tables: small_tables is for SQL files",
				"acknowledge: acknowledge is for SQL files",
			},
		},
		"what is for the runner": {
			tool(body{"lock_timeout": "1s", "statement_timeout": "1s", "baseline": int64(1), "runner": "direct"}, nil),
			[]string{"lock_timeout: lock_timeout is", "statement_timeout: statement_timeout is", "baseline: baseline is", "runner: runner is"},
		},
		"no image": {
			body{"commands": body{"version": "v1", "run": []any{"tool"}}}, []string{"image: The image of the tool is missing"},
		},
		"nothing to allow": {
			tool(nil, body{"allow_rollback": true}), []string{"commands.allow_rollback: There is no rollback to allow"},
		},
		"a variable of Slipway": {tool(nil, body{"env": body{"SLIPWAY_PHASE": "x"}}), []string{"The variable SLIPWAY_PHASE is taken"}},
		"a variable twice":      {tool(nil, body{"env": body{"A": "x"}, "secret_env": body{"A": key}}), []string{"The variable A is taken"}},
		"the variable of the URL": {
			tool(body{"database_url_wo": "u"}, body{"env": body{"DATABASE_URL": "x"}}),
			[]string{"The variable DATABASE_URL is taken"},
		},
		"a variable without a URL": {
			tool(nil, body{"url_variable": "PG"}), []string{"commands.url_variable: There is no URL for the variable"},
		},
		"an empty command":           {tool(nil, body{"run": []any{}}), []string{"commands.run: "}},
		"a name that is no variable": {tool(nil, body{"env": body{"A B": "x"}}), []string{"must be the name of an environment variable"}},
	} {
		t.Run(name, func(t *testing.T) {
			test.arguments["environment"], test.arguments["kind"] = notKnown{}, kindExpand
			got := validatedMigration(t, test.arguments)
			if len(got) != len(test.want) {
				t.Errorf("%d problems, want %d", len(got), len(test.want))
			}
			for _, want := range test.want {
				if !slices.ContainsFunc(got, func(text string) bool { return strings.Contains(text, want) }) {
					t.Errorf("%q is not said", want)
				}
			}
			if t.Failed() {
				t.Log(strings.Join(got, "\n"))
			}
		})
	}
}

func merge(a, b body) body {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}
