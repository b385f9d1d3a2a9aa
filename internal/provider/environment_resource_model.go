// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment/namespace"
)

// environmentModel is slipway_environment as Terraform sees it.
type environmentModel struct {
	Client             types.String   `tfsdk:"client"`
	Stage              types.String   `tfsdk:"stage"`
	Cluster            types.Object   `tfsdk:"cluster"`
	Namespace          types.Object   `tfsdk:"namespace"`
	Database           types.Object   `tfsdk:"database"`
	ServiceAccount     types.Object   `tfsdk:"service_account"`
	Network            types.Object   `tfsdk:"network"`
	ResourceQuota      types.Object   `tfsdk:"resource_quota"`
	LimitRange         types.Object   `tfsdk:"limit_range"`
	DeletionProtection types.Bool     `tfsdk:"deletion_protection"`
	AllowClusterMove   types.String   `tfsdk:"allow_cluster_move"`
	Timeouts           timeouts.Value `tfsdk:"timeouts"`

	ID           types.String `tfsdk:"id"`
	ClusterUID   types.String `tfsdk:"cluster_uid"`
	NamespaceUID types.String `tfsdk:"namespace_uid"`
	Drift        types.List   `tfsdk:"drift"`
}

// subject is the environment with the coordinates that are in it.
func (m environmentModel) subject(handle environment.Handle) subject {
	return subject{
		noun: "environment", name: handle.Namespace, handle: handle, clusterUID: m.ClusterUID.ValueString(),
		named: path.Root("namespace").AtName("name"), base: path.Empty(),
	}
}

type namespaceModel struct {
	Name        types.String `tfsdk:"name"`
	Adopt       types.Bool   `tfsdk:"adopt"`
	Labels      types.Map    `tfsdk:"labels"`
	Annotations types.Map    `tfsdk:"annotations"`
	PodSecurity types.Object `tfsdk:"pod_security"`
}

type podSecurityModel struct {
	Enforce types.String `tfsdk:"enforce"`
	Audit   types.String `tfsdk:"audit"`
	Warn    types.String `tfsdk:"warn"`
}

type serviceAccountModel struct {
	Name        types.String `tfsdk:"name"`
	RoleARN     types.String `tfsdk:"role_arn"`
	Annotations types.Map    `tfsdk:"annotations"`
}

type networkModel struct {
	Ingress           types.String `tfsdk:"ingress"`
	Egress            types.String `tfsdk:"egress"`
	DNS               types.Bool   `tfsdk:"dns"`
	Prometheus        types.Object `tfsdk:"prometheus"`
	Istio             types.String `tfsdk:"istio"`
	LoadBalancerCIDRs types.List   `tfsdk:"load_balancer_cidrs"`
	DatabaseCIDRs     types.List   `tfsdk:"database_cidrs"`
	AWS               types.Bool   `tfsdk:"aws"`
}

type peerModel struct {
	Namespace types.String `tfsdk:"namespace"`
	PodLabels types.Map    `tfsdk:"pod_labels"`
}

type quotaModel struct {
	Hard types.Map `tfsdk:"hard"`
}

type limitRangeModel struct {
	Default        types.Map `tfsdk:"default"`
	DefaultRequest types.Map `tfsdk:"default_request"`
	Max            types.Map `tfsdk:"max"`
	Min            types.Map `tfsdk:"min"`
}

var (
	stringMap        = types.MapType{ElemType: types.StringType}
	stringList       = types.ListType{ElemType: types.StringType}
	podSecurityTypes = map[string]attr.Type{"enforce": types.StringType, "audit": types.StringType, "warn": types.StringType}
	namespaceTypes   = map[string]attr.Type{
		"name": types.StringType, "adopt": types.BoolType, "labels": stringMap, "annotations": stringMap,
		"pod_security": types.ObjectType{AttrTypes: podSecurityTypes},
	}
	serviceAccountTypes = map[string]attr.Type{"name": types.StringType, "role_arn": types.StringType, "annotations": stringMap}
	peerTypes           = map[string]attr.Type{"namespace": types.StringType, "pod_labels": stringMap}
	networkTypes        = map[string]attr.Type{
		"ingress": types.StringType, "egress": types.StringType, "dns": types.BoolType,
		"prometheus": types.ObjectType{AttrTypes: peerTypes}, "istio": types.StringType,
		"load_balancer_cidrs": stringList, "database_cidrs": stringList, "aws": types.BoolType,
	}
	quotaTypes      = map[string]attr.Type{"hard": stringMap}
	limitRangeTypes = map[string]attr.Type{"default": stringMap, "default_request": stringMap, "max": stringMap, "min": stringMap}
)

// defaultNetwork denies ingress and allows egress.
func defaultNetwork() types.Object {
	return networkValue(namespace.Network{Ingress: namespace.TrafficDeny, Egress: namespace.TrafficAllow, DNS: true})
}

func (m environmentModel) handle(ctx context.Context) (environment.Handle, bool, diag.Diagnostics) {
	return handleModel{Client: m.Client, Stage: m.Stage, Cluster: m.Cluster, Namespace: m.Namespace, Database: m.Database}.handle(ctx)
}

// adoptedNetwork is the attribute "network" of a plan. An adopted namespace is closed only if the configuration says so: pods run in it,
// and nothing says who sends them requests.
func (m environmentModel) adoptedNetwork(ctx context.Context, config tfsdk.Config, diags *diag.Diagnostics) types.Object {
	adopt, _ := m.Namespace.Attributes()["adopt"].(types.Bool)
	if !m.Namespace.IsUnknown() && !adopt.IsUnknown() && !adopt.ValueBool() || m.Network.IsUnknown() {
		return m.Network
	}
	var configured types.Object
	var ingress types.String
	diags.Append(config.GetAttribute(ctx, path.Root("network"), &configured)...)
	if !configured.IsNull() && !configured.IsUnknown() {
		diags.Append(config.GetAttribute(ctx, path.Root("network").AtName("ingress"), &ingress)...)
	}
	if !ingress.IsNull() || diags.HasError() {
		return m.Network
	}
	attributes := maps.Clone(m.Network.Attributes())
	attributes["ingress"] = types.StringValue(namespace.TrafficAllow)
	if m.Namespace.IsUnknown() || adopt.IsUnknown() {
		attributes["ingress"] = types.StringUnknown()
	}
	out, d := types.ObjectValue(networkTypes, attributes)
	diags.Append(d...)
	return out
}

// adopt is false where it is not set or not known yet.
func (m environmentModel) adopt() bool {
	adopt, ok := m.Namespace.Attributes()["adopt"].(types.Bool)
	return ok && adopt.ValueBool()
}

// spec returns what the environment's namespace is to hold; known is false while a part of it is not known yet.
func (m environmentModel) spec(ctx context.Context) (spec namespace.Spec, known bool, diags diag.Diagnostics) {
	handle, known, diags := m.handle(ctx)
	if !known || diags.HasError() {
		return namespace.Spec{}, false, diags
	}
	for _, part := range []attr.Value{m.Namespace, m.ServiceAccount, m.Network, m.ResourceQuota, m.LimitRange} {
		if !wholly(part) {
			return namespace.Spec{}, false, diags
		}
	}
	r := reader{ctx: ctx, diags: &diags}
	spec.Handle = handle

	var configured namespaceModel
	r.object(m.Namespace, &configured)
	spec.Adopt = configured.Adopt.ValueBool()
	spec.Labels, spec.Annotations = r.strings(configured.Labels), r.strings(configured.Annotations)
	var podSecurity podSecurityModel
	r.object(configured.PodSecurity, &podSecurity)
	spec.PodSecurity = namespace.PodSecurity{
		Enforce: podSecurity.Enforce.ValueString(), Audit: podSecurity.Audit.ValueString(), Warn: podSecurity.Warn.ValueString(),
	}

	if !m.ServiceAccount.IsNull() {
		var account serviceAccountModel
		r.object(m.ServiceAccount, &account)
		spec.ServiceAccount = &namespace.ServiceAccount{
			Name: account.Name.ValueString(), RoleARN: account.RoleARN.ValueString(), Annotations: r.strings(account.Annotations),
		}
	}
	var network networkModel
	r.object(m.Network, &network)
	spec.Network = namespace.Network{
		Ingress: network.Ingress.ValueString(), Egress: network.Egress.ValueString(), DNS: network.DNS.ValueBool(),
		Istio: network.Istio.ValueString(), AWS: network.AWS.ValueBool(),
		LoadBalancerCIDRs: r.list(network.LoadBalancerCIDRs), DatabaseCIDRs: r.list(network.DatabaseCIDRs),
	}
	if !network.Prometheus.IsNull() {
		var peer peerModel
		r.object(network.Prometheus, &peer)
		spec.Network.Prometheus = &namespace.Peer{Namespace: peer.Namespace.ValueString(), PodLabels: r.strings(peer.PodLabels)}
	}
	var quota quotaModel
	r.object(m.ResourceQuota, &quota)
	spec.Quota = r.strings(quota.Hard)
	spec.LimitRange = r.limitRange(m.LimitRange)
	return spec, !diags.HasError(), diags
}

// reader converts known values and collects what goes wrong.
type reader struct {
	ctx   context.Context
	diags *diag.Diagnostics
}

// limitRange returns nil where none is given.
func (r reader) limitRange(from types.Object) *namespace.LimitRange {
	if from.IsNull() {
		return nil
	}
	var limits limitRangeModel
	r.object(from, &limits)
	return &namespace.LimitRange{
		Default: r.strings(limits.Default), DefaultRequest: r.strings(limits.DefaultRequest),
		Max: r.strings(limits.Max), Min: r.strings(limits.Min),
	}
}

// object leaves into as it is where the value is null.
func (r reader) object(from types.Object, into any) {
	if !from.IsNull() {
		r.diags.Append(from.As(r.ctx, into, basetypes.ObjectAsOptions{})...)
	}
}

func (r reader) strings(from types.Map) map[string]string {
	if from.IsNull() {
		return nil
	}
	into := map[string]string{}
	r.diags.Append(from.ElementsAs(r.ctx, &into, false)...)
	return into
}

func (r reader) list(from types.List) []string {
	if from.IsNull() {
		return nil
	}
	var into []string
	r.diags.Append(from.ElementsAs(r.ctx, &into, false)...)
	return into
}
