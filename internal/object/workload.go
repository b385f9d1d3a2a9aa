// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package object

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// PodTemplate is a copy of the pod template of a workload; nil for other objects.
func PodTemplate(o map[string]any) map[string]any {
	kind, _ := o["kind"].(string)
	path := podTemplates[kind]
	if len(path) == 0 {
		return nil
	}
	template, _, err := unstructured.NestedMap(o, path...)
	if err != nil {
		return nil
	}
	return template
}

// HasReplicas reports that an object sets spec.replicas.
func HasReplicas(o map[string]any) bool {
	_, found, err := unstructured.NestedFieldNoCopy(o, "spec", "replicas")
	return found && err == nil
}

// WithoutReplicas returns a copy of an object without spec.replicas.
func WithoutReplicas(o map[string]any) map[string]any {
	out := DeepCopy(o)
	unstructured.RemoveNestedField(out, "spec", "replicas")
	return out
}

// generatedLabels are set on pods by controllers. No template shows them.
var generatedLabels = []string{
	"pod-template-hash", "controller-revision-hash", "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index",
	"job-name", "controller-uid", "batch.kubernetes.io/job-name", "batch.kubernetes.io/controller-uid",
	"batch.kubernetes.io/job-completion-index",
}

// IsGeneratedLabel reports that controllers set a label on pods.
func IsGeneratedLabel(key string) bool { return slices.Contains(generatedLabels, key) }

// podless are API groups of add-ons whose objects make no pods, with the kinds that do.
var podless = map[string][]string{
	"argoproj.io":                {"Rollout", "Workflow", "CronWorkflow", "WorkflowTemplate", "Application", "ApplicationSet"},
	"cert-manager.io":            nil,
	"configuration.konghq.com":   nil,
	"external-secrets.io":        nil,
	"externaldns.k8s.io":         nil,
	"gateway.networking.k8s.io":  {"Gateway"},
	"keda.sh":                    {"ScaledJob"},
	"kyverno.io":                 nil,
	"monitoring.coreos.com":      {"Prometheus", "PrometheusAgent", "Alertmanager", "ThanosRuler"},
	"networking.istio.io":        nil,
	"policy.istio.io":            nil,
	"security.istio.io":          nil,
	"telemetry.istio.io":         nil,
	"traefik.io":                 nil,
	"cilium.io":                  nil,
	"projectcontour.io":          nil,
	"secrets-store.csi.x-k8s.io": nil,
	"bitnami.com":                nil,
}

// MayMakePods reports that objects of a kind may make pods that no template of the release shows, because an operator makes them.
func MayMakePods(apiVersion, kind string) bool {
	group, _, grouped := strings.Cut(apiVersion, "/")
	if !grouped {
		return false
	}
	if kinds, known := podless[group]; known {
		return slices.Contains(kinds, kind)
	}
	switch group {
	case "apps", "batch", "autoscaling", "policy", "extensions":
		return false
	}
	return !strings.HasSuffix(group, ".k8s.io") || strings.HasSuffix(group, ".x-k8s.io")
}
