// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package namespace makes the namespace of an environment and the objects in it what a Spec says, reads them back, and removes them.
package namespace

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// Spec is everything that an environment's namespace is to hold.
type Spec struct {
	Handle environment.Handle
	// Adopt allows to take over a namespace that exists and is nobody's.
	Adopt bool
	// Labels and Annotations of the namespace, in addition to Slipway's own.
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

// namespaceLabels are all labels of the namespace that we set; Slipway's own win.
func (s Spec) namespaceLabels() map[string]string {
	labels := maps.Clone(s.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, s.PodSecurity.labels())
	maps.Copy(labels, ownerLabels(s.Handle))
	return labels
}

func (s Spec) namespaceAnnotations(instanceID, origin string) map[string]string {
	annotations := maps.Clone(s.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[environment.AnnotationInstance] = instanceID
	annotations[annotationOrigin] = origin
	return annotations
}

// wanted are the objects that are ours alone. The ServiceAccount is not among them: others write to it too.
func (s Spec) wanted() ([]wanted, error) {
	var all []wanted
	network, err := json.Marshal(s.Network)
	if err != nil {
		return nil, fmt.Errorf("encoding the network settings: %w", err)
	}
	policies := s.Network.policies(s.Handle.Database)
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		all = append(all, wanted{
			resource: networkPolicies, name: name, spec: policies[name], same: samePolicy,
			annotations: map[string]string{annotationNetwork: string(network)},
		})
	}
	if len(s.Quota) > 0 {
		all = append(all, wanted{resource: quotas, name: quotaName, spec: map[string]any{"hard": anyMap(s.Quota)}, same: sameQuota})
	}
	if s.LimitRange != nil {
		limits := map[string]any{"type": "Container"}
		for field, quantities := range s.LimitRange.bounds() {
			if len(quantities) > 0 {
				limits[field] = anyMap(quantities)
			}
		}
		asked, err := json.Marshal(s.LimitRange)
		if err != nil {
			return nil, fmt.Errorf("encoding the limit range: %w", err)
		}
		all = append(all, wanted{
			resource: limitRanges, name: limitRangeName, spec: map[string]any{"limits": []any{limits}}, same: sameLimits,
			annotations: map[string]string{annotationLimits: string(asked)},
		})
	}
	return all, nil
}

// mayTakeAccount refuses a ServiceAccount of another owner that is not to be adopted; live is nil where there is none.
func (s Spec) mayTakeAccount(live *unstructured.Unstructured) error {
	name := s.ServiceAccount.Name
	if live == nil || live.GetAnnotations()[annotationOrigin] == originCreated || live.GetLabels()[labelPartOf] == partEnvironment ||
		s.Adopt || name == defaultAccount {
		return nil
	}
	return &ObjectForeignError{Namespace: s.Handle.Namespace, Kind: kindOf[serviceAccounts], Name: name, Adoptable: true}
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

// Problems lists what the API server would refuse in the bounds: for each resource, min, the default request, the default
// limit and max must not fall. Quantities that cannot be read are left to ValidQuantity.
func (l *LimitRange) Problems() []string {
	steps := []struct {
		name   string
		values map[string]string
	}{{"min", l.Min}, {"default_request", l.DefaultRequest}, {"default", l.Default}, {"max", l.Max}}
	var problems []string
	for i, low := range steps {
		for _, high := range steps[i+1:] {
			for _, name := range slices.Sorted(maps.Keys(low.values)) {
				text, both := high.values[name]
				if !both {
					continue
				}
				from, err := resource.ParseQuantity(low.values[name])
				to, err2 := resource.ParseQuantity(text)
				if err == nil && err2 == nil && from.Cmp(to) > 0 {
					problems = append(problems, fmt.Sprintf("%s of %s is %s, above %s, which is %s", low.name, name, low.values[name], high.name, text))
				}
			}
		}
	}
	return problems
}
