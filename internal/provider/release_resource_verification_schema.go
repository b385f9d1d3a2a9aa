// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"regexp"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// verificationBlocks are the blocks that say how a new revision is watched, and what happens when it fails.
func verificationBlocks() map[string]schema.Block {
	return map[string]schema.Block{
		"analysis":   analysisBlock(),
		"smoke_test": smokeTestBlock(),
		"acceptance": acceptanceBlock(),
		"rollback":   rollbackBlock(),
	}
}

func smokeTestBlock() schema.ListNestedBlock {
	return schema.ListNestedBlock{
		MarkdownDescription: "A test of the new version, made once its pods are ready, before the analysis. May be repeated: they run " +
			"in their order, and the first that fails fails the " +
			"apply. Exactly one of `helm_test`, `http` and `job` says how. They run again after a rollback, to see that the service is healthy.",
		NestedObject: schema.NestedBlockObject{
			Attributes: map[string]schema.Attribute{
				"name":    checkName("Name of the test, as it appears in errors. Example: `\"collect-one-event\"`."),
				"timeout": checkTimeout(),
			},
			Blocks: checkBlocks(),
		},
	}
}

func checkTimeout() schema.StringAttribute {
	a := durationAttribute("How long it may take, all attempts together.", "5m", "2m", duration{})
	a.MarkdownDescription = strings.Replace(a.MarkdownDescription, "`\"5m\"`", "`\"5m\"`, for `http` `\"30s\"`", 1)
	return a
}

// checkBlocks are the kinds of smoke test and acceptance.
func checkBlocks() map[string]schema.Block {
	return map[string]schema.Block{
		"helm_test": atMostOne("Runs the chart's own tests, as `helm test` does. A chart without any fails.",
			schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
				"filter": schema.ListAttribute{
					MarkdownDescription: "Names of the tests that run. Default: all. Example: `[\"data-collection-service-test\"]`.",
					ElementType:         types.StringType,
					Optional:            true,
					Validators:          []validator.List{listvalidator.SizeAtLeast(1), listvalidator.ValueStringsAre(stringvalidator.LengthAtLeast(1))},
				},
			}}),
		"http": atMostOne("Passes when a GET request is answered as expected. It is repeated until the test's timeout.", httpObject(false)),
		"job":  jobBlock(),
	}
}

func acceptanceBlock() schema.ListNestedBlock {
	return atMostOne(
		"Is asked last, after the analysis, and accepts the version or refuses it. It can ask people or another system: a Job that "+
			"waits for an approval, for example. "+
			"Exactly one of `job`, `http` and `helm_test` says how.",
		schema.NestedBlockObject{
			Attributes: map[string]schema.Attribute{
				"name": schema.StringAttribute{
					MarkdownDescription: "Name of the gate, as it appears in errors. Default: `\"acceptance\"`.",
					Optional:            true,
					Validators:          []validator.String{stringvalidator.RegexMatches(checkNamePattern, "must be letters, digits, '-', '_' and '.'")},
				},
				"timeout": checkTimeout(),
			},
			Blocks: checkBlocks(),
		})
}

func jobBlock() schema.ListNestedBlock {
	return atMostOne(
		"Runs a Job in the environment's namespace; exit code 0 passes. The container gets `SLIPWAY_CLIENT`, `SLIPWAY_STAGE`, "+
			"`SLIPWAY_RELEASE`, `SLIPWAY_VERSION` and `SLIPWAY_NAMESPACE`. "+
			""+
			"It runs as a user other than root, under the Pod Security Standard \"restricted\". Its last lines are in the error where it fails.",
		schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
			"image": schema.StringAttribute{
				MarkdownDescription: "Image of the container. Example: `\"registry.company.com/data-collection-smoke:v1.2.0\"`.",
				Required:            true,
				Validators:          []validator.String{stringvalidator.RegexMatches(regexp.MustCompile(`^\S+$`), "must be the name of an image")},
			},
			"command": schema.ListAttribute{
				MarkdownDescription: "Command, instead of the image's entry point. Example: `[\"/bin/smoke\"]`.",
				ElementType:         types.StringType,
				Optional:            true,
				Validators:          []validator.List{listvalidator.SizeAtLeast(1)},
			},
			"args": schema.ListAttribute{
				MarkdownDescription: "Arguments. Example: `[\"--url\", \"http://data-collection-service\"]`.",
				ElementType:         types.StringType,
				Optional:            true,
			},
			"env": schema.MapAttribute{
				MarkdownDescription: "Further environment variables. They are public: a Job that needs a secret takes it from the cluster. " +
					"Example: `{ ATTEMPTS = \"3\" }`.",
				ElementType: types.StringType,
				Optional:    true,
			},
			"service_account": schema.StringAttribute{
				MarkdownDescription: "ServiceAccount that the Job runs as. Default: that of the namespace, without a token. Example: `\"smoke\"`.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.RegexMatches(namespacePattern, namespaceRule)},
			},
			"pull_secrets": schema.ListAttribute{
				MarkdownDescription: "Names of Secrets in the namespace with which the image is pulled. Example: `[\"registry\"]`.",
				ElementType:         types.StringType,
				Optional:            true,
				Validators:          []validator.List{listvalidator.ValueStringsAre(stringvalidator.RegexMatches(namespacePattern, namespaceRule))},
			},
		}})
}

func rollbackBlock() schema.ListNestedBlock {
	return atMostOne(
		"Where this block is there, even empty, a revision that fails (its rollout, a smoke test, the analysis, the acceptance, or by "+
			"the abort annotation) is rolled back automatically to the newest "+
			"known-good one. The restored revision is validated, and the content that failed is quarantined. The apply fails in any "+
			"case, and the error explains what happened.",
		schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
			"hooks": schema.StringAttribute{
				MarkdownDescription: "Whether the chart's rollback hooks run: `\"skip\"` (default), since one that fails blocks the " +
					"rollback, or `\"run\"`.",
				Optional:   true,
				Validators: []validator.String{stringvalidator.OneOf(hooksSkip, hooksRun)},
			},
			"timeout": durationAttribute("How long the pods of the restored revision may take to become ready.", "5m", "10m", duration{}),
			"validation": durationAttribute("How long the restored revision is watched by the checks of the analysis, from the rollback "+
				"on; smoke tests and acceptance run as well. "+
				"`\"0s\"` makes each check once.", "0s", "2m", duration{zero: true}),
			"quarantine": durationAttribute("How long content that failed is not deployed again, unless an input or `retry_token` changes.", "24h",
				"1h", duration{}),
		}})
}

// Choices of rollback.hooks.
const (
	hooksSkip = "skip"
	hooksRun  = "run"
)
