// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment/namespace"
)

// observed writes what is live into the state, so that the next plan shows the repair. What the configuration leaves out
// stays out.
func (m environmentModel) observed(ctx context.Context, o *namespace.Observation) (environmentModel, diag.Diagnostics) {
	var diags diag.Diagnostics
	r := reader{ctx: ctx, diags: &diags}

	var configured namespaceModel
	r.object(m.Namespace, &configured)
	podSecurity := types.ObjectNull(podSecurityTypes)
	if !configured.PodSecurity.IsNull() {
		podSecurity = podSecurityValue(o.PodSecurity)
	}
	m.Namespace = types.ObjectValueMust(namespaceTypes, map[string]attr.Value{
		"name":         configured.Name,
		"adopt":        configured.Adopt,
		"labels":       likewise(configured.Labels, o.Labels),
		"annotations":  likewise(configured.Annotations, o.Annotations),
		"pod_security": podSecurity,
	})

	switch {
	case m.ServiceAccount.IsNull():
	case o.ServiceAccount == nil:
		m.ServiceAccount = types.ObjectNull(serviceAccountTypes)
	default:
		var account serviceAccountModel
		r.object(m.ServiceAccount, &account)
		m.ServiceAccount = types.ObjectValueMust(serviceAccountTypes, map[string]attr.Value{
			"name":        account.Name,
			"role_arn":    stringOrNull(o.ServiceAccount.RoleARN),
			"annotations": likewise(account.Annotations, o.ServiceAccount.Annotations),
		})
	}
	if !m.ResourceQuota.IsNull() {
		m.ResourceQuota = quotaValue(o.Quota)
	}
	switch {
	case m.LimitRange.IsNull():
	case o.LimitRange == nil:
		m.LimitRange = types.ObjectNull(limitRangeTypes)
	default:
		var limits limitRangeModel
		r.object(m.LimitRange, &limits)
		m.LimitRange = types.ObjectValueMust(limitRangeTypes, map[string]attr.Value{
			"default":         likewise(limits.Default, o.LimitRange.Default),
			"default_request": likewise(limits.DefaultRequest, o.LimitRange.DefaultRequest),
			"max":             likewise(limits.Max, o.LimitRange.Max),
			"min":             likewise(limits.Min, o.LimitRange.Min),
		})
	}
	m.NamespaceUID = types.StringValue(o.NamespaceUID)
	m.Drift = stringsOrNull(o.Drift)
	return m, diags
}

// likewise is live as a map, or null where the state has none.
func likewise(state types.Map, live map[string]string) types.Map {
	if state.IsNull() {
		return types.MapNull(types.StringType)
	}
	return mapValue(live)
}

// environmentFrom is the state after an import. What is not in the cluster stays null or has its default.
func environmentFrom(ctx context.Context, found *namespace.Found) (environmentModel, diag.Diagnostics) {
	spec := found.Spec
	podSecurity := types.ObjectNull(podSecurityTypes)
	if spec.PodSecurity != (namespace.PodSecurity{}) {
		podSecurity = podSecurityValue(spec.PodSecurity)
	}
	adopt := types.BoolNull()
	if spec.Adopt {
		adopt = types.BoolValue(true)
	}
	m := environmentModel{
		Client:  types.StringValue(spec.Handle.Client),
		Stage:   types.StringValue(spec.Handle.Stage),
		Cluster: clusterValue(spec.Handle.Cluster),
		Namespace: types.ObjectValueMust(namespaceTypes, map[string]attr.Value{
			"name":         types.StringValue(spec.Handle.Namespace),
			"adopt":        adopt,
			"labels":       mapOrNull(spec.Labels),
			"annotations":  mapOrNull(spec.Annotations),
			"pod_security": podSecurity,
		}),
		Database:           types.ObjectNull(databaseTypes),
		ServiceAccount:     types.ObjectNull(serviceAccountTypes),
		Network:            networkValue(spec.Network),
		ResourceQuota:      quotaValue(spec.Quota),
		LimitRange:         types.ObjectNull(limitRangeTypes),
		DeletionProtection: types.BoolValue(true),
		AllowClusterMove:   types.StringNull(),
		Timeouts:           nullTimeouts(),
		ID:                 types.StringValue(found.InstanceID),
		ClusterUID:         types.StringValue(found.ClusterUID),
		NamespaceUID:       types.StringValue(found.NamespaceUID),
		Drift:              types.ListNull(types.StringType),
	}
	if account := spec.ServiceAccount; account != nil {
		m.ServiceAccount = types.ObjectValueMust(serviceAccountTypes, map[string]attr.Value{
			"name": types.StringValue(account.Name), "role_arn": stringOrNull(account.RoleARN), "annotations": mapOrNull(account.Annotations),
		})
	}
	if limits := spec.LimitRange; limits != nil {
		m.LimitRange = types.ObjectValueMust(limitRangeTypes, map[string]attr.Value{
			"default": mapOrNull(limits.Default), "default_request": mapOrNull(limits.DefaultRequest),
			"max": mapOrNull(limits.Max), "min": mapOrNull(limits.Min),
		})
	}
	_, _, diags := m.spec(ctx) // What cannot be read back would be a state that no plan can use.
	return m, diags
}

func podSecurityValue(p namespace.PodSecurity) types.Object {
	return types.ObjectValueMust(podSecurityTypes, map[string]attr.Value{
		"enforce": stringOrNull(p.Enforce), "audit": stringOrNull(p.Audit), "warn": stringOrNull(p.Warn),
	})
}

func quotaValue(hard map[string]string) types.Object {
	if len(hard) == 0 {
		return types.ObjectNull(quotaTypes)
	}
	return types.ObjectValueMust(quotaTypes, map[string]attr.Value{"hard": mapValue(hard)})
}

func networkValue(n namespace.Network) types.Object {
	prometheus := types.ObjectNull(peerTypes)
	if p := n.Prometheus; p != nil {
		prometheus = types.ObjectValueMust(peerTypes, map[string]attr.Value{
			"namespace": types.StringValue(p.Namespace), "pod_labels": mapOrNull(p.PodLabels),
		})
	}
	return types.ObjectValueMust(networkTypes, map[string]attr.Value{
		"ingress":             types.StringValue(n.Ingress),
		"egress":              types.StringValue(n.Egress),
		"dns":                 types.BoolValue(n.DNS),
		"prometheus":          prometheus,
		"istio":               stringOrNull(n.Istio),
		"load_balancer_cidrs": stringsOrNull(n.LoadBalancerCIDRs),
		"database_cidrs":      stringsOrNull(n.DatabaseCIDRs),
		"aws":                 types.BoolValue(n.AWS),
	})
}
