// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/function"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

var _ function.Function = (*workspaceNameFunction)(nil)

// workspaceNameFunction names the workspace of a client and stage.
type workspaceNameFunction struct{}

// NewWorkspaceNameFunction makes the function workspace_name. It needs no configured provider.
func NewWorkspaceNameFunction() function.Function { return &workspaceNameFunction{} }

func (*workspaceNameFunction) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "workspace_name"
}

func (*workspaceNameFunction) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary: "Names the workspace of a client's stage",
		MarkdownDescription: "Returns `<client>-<stage>`, the name of the Terraform workspace that may manage the environment of this client " +
			"and stage. Use it to check the workspace in a module, where a test can see it:\n\n" +
			"```terraform\n" +
			"precondition {\n" +
			"  condition     = terraform.workspace == provider::slipway::workspace_name(var.client, var.stage)\n" +
			"  error_message = \"This workspace belongs to another client or stage.\"\n" +
			"}\n" +
			"```",
		Parameters: []function.Parameter{
			function.StringParameter{
				Name: "client",
				MarkdownDescription: "Name of the client, for example `client-a`: lower-case letters, digits and hyphens, with a letter or " +
					"digit at both ends.",
			},
			function.StringParameter{
				Name: "stage",
				MarkdownDescription: "Stage, for example `prod`: lower-case letters and digits. It has no hyphen, so that the name can be " +
					"read in one way only.",
			},
		},
		Return: function.StringReturn{},
	}
}

func (*workspaceNameFunction) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var client, stage string
	if resp.Error = req.Arguments.Get(ctx, &client, &stage); resp.Error != nil {
		return
	}
	if !clientPattern.MatchString(client) {
		resp.Error = function.NewArgumentFuncError(0, fmt.Sprintf("The client is %q. A client's name consists of lower-case letters, digits and "+
			"hyphens, at most 63 of them, and begins and ends with a letter or digit, for example \"client-a\"", client))
		return
	}
	if !stagePattern.MatchString(stage) {
		resp.Error = function.NewArgumentFuncError(1, fmt.Sprintf("The stage is %q. A stage consists of lower-case letters and digits, for "+
			"example \"prod\"; a hyphen would make the name of the workspace ambiguous", stage))
		return
	}
	resp.Error = resp.Result.Set(ctx, environment.Handle{Client: client, Stage: stage}.Workspace())
}
