// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package namespace

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Names that a ResourceQuota may count and a LimitRange may bound, as the API server's validation knows them. Names with a
// slash (extended resources, storage classes, count/<resource>.<group>) are open.
var (
	quotaResources = []string{
		"cpu", "memory", "ephemeral-storage",
		"requests.cpu", "requests.memory", "requests.ephemeral-storage", "requests.storage",
		"limits.cpu", "limits.memory", "limits.ephemeral-storage",
		"pods", "services", "services.nodeports", "services.loadbalancers", "replicationcontrollers",
		"resourcequotas", "secrets", "configmaps", "persistentvolumeclaims",
	}
	containerResources = []string{"cpu", "memory", "ephemeral-storage"}
)

// QuotaResourceProblem says why a ResourceQuota cannot count a resource of this name; it is empty where it can.
func QuotaResourceProblem(name string) string {
	return resourceProblem(name, quotaResources, "hugepages-", "requests.hugepages-")
}

// ContainerResourceProblem says why a LimitRange for containers cannot bound a resource of this name; it is empty where it can.
func ContainerResourceProblem(name string) string {
	return resourceProblem(name, containerResources, "hugepages-")
}

func resourceProblem(name string, known []string, prefixes ...string) string {
	if slices.Contains(known, name) {
		return ""
	}
	for _, prefix := range prefixes {
		if size, ok := strings.CutPrefix(name, prefix); ok && ValidQuantity(size) {
			return ""
		}
	}
	if strings.Contains(name, "/") {
		return strings.Join(validation.IsQualifiedName(name), "; ")
	}
	return "is no resource that Kubernetes knows. Known are " + strings.Join(known, ", ") + ", and names with a slash"
}

// Undefaulted lists the resources of a quota that each container must set, since limits give no default for them: Kubernetes refuses pods
// that do not. A LimitRange without defaults takes them from max, and requests also from min.
// See https://kubernetes.io/docs/concepts/policy/resource-quotas/.
func Undefaulted(quota map[string]string, limits *LimitRange) []string {
	if limits == nil {
		limits = &LimitRange{}
	}
	given := func(resource string, sources ...map[string]string) bool {
		return slices.ContainsFunc(sources, func(source map[string]string) bool { return source[resource] != "" })
	}
	var out []string
	for _, resource := range containerResources {
		_, plain := quota[resource]
		_, requests := quota["requests."+resource]
		_, bounds := quota["limits."+resource]
		if (plain || requests) && !given(resource, limits.DefaultRequest, limits.Default, limits.Max, limits.Min) {
			out = append(out, "requests."+resource)
		}
		if bounds && !given(resource, limits.Default, limits.Max) {
			out = append(out, "limits."+resource)
		}
	}
	return out
}
