// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/function"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
)

var _ function.Function = (*explainValueFunction)(nil)

// explainValueFunction reports where a value of an environment comes from.
type explainValueFunction struct{}

// NewExplainValueFunction makes the function explain_value. It needs no configured provider.
func NewExplainValueFunction() function.Function { return &explainValueFunction{} }

func (*explainValueFunction) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "explain_value"
}

func (*explainValueFunction) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary: "Reports which layer, file and line set a value, and what it overrode",
		MarkdownDescription: "Returns a text that reports for a value of an environment which layer, file and line set it, and what " +
			"each layer below says. It is meant for " +
			"`terraform console`:\n\n" +
			"```text\n" +
			"> provider::slipway::explain_value(\"clients\", \"client-f\", \"prod\", \"autoscaling.maxReplicas\")\n" +
			"autoscaling.maxReplicas = 25\n" +
			"  client-stage   clients/client-f/values-prod.yaml:2  sets it\n" +
			"  stage          clients/stages/prod.yaml:4  is overridden: 10\n" +
			"```\n\n" +
			"What looks like a secret is masked. The command `slipway explain` reports the same.",
		Parameters: []function.Parameter{
			function.StringParameter{Name: "directory", MarkdownDescription: "Folder of `fleet.yaml`, relative to the working directory."},
			function.StringParameter{Name: "client", MarkdownDescription: "Name of the client."},
			function.StringParameter{Name: "stage", MarkdownDescription: "Stage."},
			function.StringParameter{Name: "key",
				MarkdownDescription: "Dotted path of the value; a dot in a key is written `\\.`. Where others are below it, each of them is listed; " +
					"an empty path reports all."},
		},
		Return: function.StringReturn{},
	}
}

func (*explainValueFunction) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var directory, client, stage, key string
	if resp.Error = req.Arguments.Get(ctx, &directory, &client, &stage, &key); resp.Error != nil {
		return
	}
	described, resolved, err := resolveEnvironment(ctx, chart.NewLoader("", nil), directory, client, stage)
	if err != nil {
		resp.Error = function.NewFuncError(strings.TrimSuffix(detailOf(err), "."))
		return
	}
	explained, err := described.ExplainKey(resolved, key)
	if err != nil {
		resp.Error = function.NewArgumentFuncError(3, err.Error())
		return
	}
	var out strings.Builder
	for _, one := range explained {
		out.WriteString(one.Text())
	}
	resp.Error = resp.Result.Set(ctx, out.String())
}
