// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"net/http"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// requestModel is what the checks by HTTP share.
type requestModel struct {
	URL       types.String `tfsdk:"url"`
	HeadersWO types.Map    `tfsdk:"headers_wo"`
	Statuses  types.List   `tfsdk:"statuses"`
	Timeout   types.String `tfsdk:"timeout"`
	Service   types.List   `tfsdk:"service"`
}

type probeModel struct {
	requestModel
	Name types.String `tfsdk:"name"`
}

type serviceModel struct {
	Name      types.String `tfsdk:"name"`
	Namespace types.String `tfsdk:"namespace"`
	Port      types.String `tfsdk:"port"`
	HTTPS     types.Bool   `tfsdk:"https"`
	Path      types.String `tfsdk:"path"`
}

func readService(r *blockReader, list types.List) *analysis.Service {
	s, ok := block[serviceModel](r, list)
	if !ok {
		return nil
	}
	r.unknown = r.unknown || s.HTTPS.IsUnknown()
	return &analysis.Service{
		Namespace: r.text(s.Namespace, ""), Name: r.text(s.Name, "unknown"), Port: r.text(s.Port, "80"), HTTPS: s.HTTPS.ValueBool(),
		Path: r.text(s.Path, ""),
	}
}

func readRequest(r *blockReader, name string, m requestModel) verify.HTTPCheck {
	service, address := readAddress(r, m.Service, m.URL)
	check := verify.HTTPCheck{
		Name: name, Service: service, URL: address, Header: r.header(m.HeadersWO),
		Timeout: r.duration(m.Timeout, analysis.DefaultTimeout, analysis.DefaultTimeout),
	}
	r.unknown = r.unknown || m.Statuses.IsUnknown()
	for _, element := range m.Statuses.Elements() {
		if n, ok := element.(types.Int64); ok {
			check.Statuses = append(check.Statuses, r.number(n, http.StatusOK))
		}
	}
	return check
}

// readAddress reads where something is asked: a Service or an address.
func readAddress(r *blockReader, services types.List, address types.String) (*analysis.Service, string) {
	service, url := readService(r, services), r.text(address, "")
	if service == nil && url == "" && (services.IsUnknown() || address.IsUnknown()) {
		url = unknownAddress
	}
	return service, url
}

// unknownAddress is an address that is not known yet.
const unknownAddress = "http://unknown.invalid"

// httpObject is a check by one GET request: a health check, which has a name of its own, or a smoke test, which looks at the body.
func httpObject(health bool) schema.NestedBlockObject {
	o := schema.NestedBlockObject{
		Attributes: map[string]schema.Attribute{
			"url": schema.StringAttribute{
				MarkdownDescription: "Address that is asked, where the machine that runs Terraform reaches it. Exactly one of `url` and " +
					"`service` is set. Example: `\"https://client-a.company.com/readyz\"`.",
				Optional:   true,
				Validators: []validator.String{publicAddress{}},
			},
			"headers_wo": schema.MapAttribute{
				MarkdownDescription: "Headers that are sent along. Write-only: never in plan or state; may be ephemeral. Example: `{ " +
					"Authorization = \"Bearer ${var.token}\" }`.",
				ElementType: types.StringType,
				Optional:    true,
				WriteOnly:   true,
				Validators: []validator.Map{
					mapvalidator.KeysAre(stringvalidator.RegexMatches(headerPattern, "must be the name of an HTTP header")),
				},
			},
			"statuses": schema.ListAttribute{
				MarkdownDescription: "HTTP statuses that pass. Default: 200 to 399. Redirects are not followed. Example: `[200, 204]`.",
				ElementType:         types.Int64Type,
				Optional:            true,
				Validators:          []validator.List{listvalidator.SizeAtLeast(1)},
			},
			"timeout": durationAttribute("How long an answer may take.", "5s", "2s", duration{}),
		},
		Blocks: map[string]schema.Block{"service": serviceBlock("`/readyz`")},
	}
	if health {
		o.Attributes["name"] = checkName("Name of the check, unique within the analysis. Example: `\"readyz\"`.")
		return o
	}
	o.Attributes["contains"] = schema.StringAttribute{
		MarkdownDescription: "Text that must be in the answer. Example: `\"\\\"status\\\":\\\"ok\\\"\"`.",
		Optional:            true,
		Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
	}
	return o
}

// serviceBlock names a port of a Kubernetes Service that is asked through the API server.
func serviceBlock(pathExample string) schema.ListNestedBlock {
	return atMostOne(
		"A Service in the cluster, asked through the API server with the credentials for the cluster; so it works for private "+
			"clusters. Needs the right to get `services/proxy`.",
		schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				MarkdownDescription: "Name of the Service. Example: `\"data-collection-service\"`.",
				Required:            true,
				Validators:          []validator.String{stringvalidator.RegexMatches(namespacePattern, namespaceRule)},
			},
			"namespace": schema.StringAttribute{
				MarkdownDescription: "Namespace of the Service. Default: the environment's. Example: `\"monitoring\"`.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.RegexMatches(namespacePattern, namespaceRule)},
			},
			"port": schema.StringAttribute{
				MarkdownDescription: "Number or name of the Service's port. Example: `9090`, `\"http\"`.",
				Required:            true,
				Validators:          []validator.String{stringvalidator.RegexMatches(portPattern, "must be a port's number or name")},
			},
			"https": schema.BoolAttribute{
				MarkdownDescription: "The port speaks TLS. The API server does not verify its certificate. Default: `false`.",
				Optional:            true,
			},
			"path": schema.StringAttribute{
				MarkdownDescription: "Path that is asked, with a leading slash. Default: none. Example: " + pathExample + ".",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.RegexMatches(regexp.MustCompile(`^/`), "must start with a slash")},
			},
		}})
}
