// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package namespace makes the namespace of an environment and the objects in it what a Spec says, reads them back, and removes them.
package namespace

import "github.com/slipway-dev/terraform-provider-slipway/internal/environment"

// Spec is everything that an environment's namespace is to hold.
type Spec struct {
	Handle environment.Handle
	// Adopt allows to take over a namespace that exists and is nobody's.
	Adopt bool
	// Labels and Annotations of the namespace, beside Slipway's own.
	Labels      map[string]string
	Annotations map[string]string
	PodSecurity PodSecurity
	// ServiceAccount is nil where none is wanted, and so are LimitRange and Quota.
	ServiceAccount *ServiceAccount
	Network        Network
	// Quota is spec.hard of the ResourceQuota: resource to quantity.
	Quota      map[string]string
	LimitRange *LimitRange
}

// PodSecurity holds Pod Security levels: "privileged", "baseline", "restricted", or empty for no label.
type PodSecurity struct {
	Enforce string
	Audit   string
	Warn    string
}

const podSecurityPrefix = "pod-security.kubernetes.io/"

func (p PodSecurity) labels() map[string]string {
	labels := map[string]string{}
	for mode, level := range map[string]string{"enforce": p.Enforce, "audit": p.Audit, "warn": p.Warn} {
		if level != "" {
			labels[podSecurityPrefix+mode] = level
		}
	}
	return labels
}

func podSecurityFrom(labels map[string]string) PodSecurity {
	return PodSecurity{
		Enforce: labels[podSecurityPrefix+"enforce"],
		Audit:   labels[podSecurityPrefix+"audit"],
		Warn:    labels[podSecurityPrefix+"warn"],
	}
}

// ServiceAccount is the client's identity in the cluster.
type ServiceAccount struct {
	Name string
	// RoleARN is the AWS role of the client's pods; empty for none.
	RoleARN     string
	Annotations map[string]string
}

const annotationRoleARN = "eks.amazonaws.com/role-arn"

func (s *ServiceAccount) annotations() map[string]string {
	annotations := map[string]string{}
	for key, value := range s.Annotations {
		annotations[key] = value
	}
	if s.RoleARN != "" {
		annotations[annotationRoleARN] = s.RoleARN
	}
	return annotations
}

// LimitRange holds defaults and bounds for containers: resource to quantity.
type LimitRange struct {
	Default        map[string]string `json:"default,omitempty"`
	DefaultRequest map[string]string `json:"defaultRequest,omitempty"`
	Max            map[string]string `json:"max,omitempty"`
	Min            map[string]string `json:"min,omitempty"`
}

func (l *LimitRange) bounds() map[string]map[string]string {
	return map[string]map[string]string{"default": l.Default, "defaultRequest": l.DefaultRequest, "max": l.Max, "min": l.Min}
}
