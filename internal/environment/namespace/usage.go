// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package namespace

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// usage is what a ResourceQuota counts of pods: their number, and the requests and limits of their containers.
func usage(pods []corev1.Pod) map[corev1.ResourceName]resource.Quantity {
	out := map[corev1.ResourceName]resource.Quantity{}
	add := func(name corev1.ResourceName, amount resource.Quantity) {
		sum := out[name]
		sum.Add(amount)
		out[name] = sum
	}
	one := *resource.NewQuantity(1, resource.DecimalSI)
	for _, pod := range pods {
		add("pods", one)
		add("count/pods", one)
		for _, container := range pod.Spec.Containers {
			for name, amount := range container.Resources.Requests {
				add(name, amount)
				add("requests."+name, amount)
			}
			for name, amount := range container.Resources.Limits {
				add("limits."+name, amount)
			}
		}
	}
	return out
}

func quantity(text string) (resource.Quantity, bool) {
	out, err := resource.ParseQuantity(text)
	return out, err == nil
}

// says reports that a container has requests or limits for a resource. A limit is a request too.
func says(r corev1.ResourceRequirements, part string, name corev1.ResourceName) bool {
	_, limit := r.Limits[name]
	_, request := r.Requests[name]
	return limit || part == "requests" && request
}

// above reports that the limit or the request of a container is above a maximum.
func above(r corev1.ResourceRequirements, name corev1.ResourceName, bound string) bool {
	most, ok := quantity(bound)
	limit, limited := r.Limits[name]
	request := r.Requests[name]
	// A container without a limit gets the maximum as its limit when it is created.
	return ok && (limited && limit.Cmp(most) > 0 || request.Cmp(most) > 0)
}

// below reports that a container requests less than a minimum.
func below(r corev1.ResourceRequirements, name corev1.ResourceName, bound string) bool {
	least, ok := quantity(bound)
	request, requested := r.Requests[name]
	return ok && requested && request.Cmp(least) < 0
}
