// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/autoscale"
)

// Rules of the review.
const (
	ruleNoPreStopDelay   = "no-prestop-delay"
	ruleReplicasAndHPA   = "replicas-and-hpa"
	ruleConfigNotNoticed = "config-not-noticed"
	ruleSecretValidated  = "secret-validated"
)

// reviewed is one object under review.
type reviewed struct {
	key        object.Key
	apiVersion string
	// namespace is empty for the release's own, which releaseNamespace names.
	namespace, releaseNamespace string
	kind                        string
	name                        string
	fields                      map[string]any
}

// group is the API group, empty for the core group.
func (o reviewed) group() string {
	group, _, grouped := strings.Cut(o.apiVersion, "/")
	if !grouped {
		return ""
	}
	return group
}

func (o reviewed) isCore(kind string) bool { return o.kind == kind && o.group() == "" }

// inKey is a namespace as keys have it.
func (o reviewed) inKey(namespace string) string {
	if namespace == o.releaseNamespace {
		return ""
	}
	return namespace
}

func (o reviewed) labels() labels.Set {
	return templateLabels(o.fields)
}

// reviewedOf are the rendered objects as they are shown, hooks only where they are asked for.
func reviewedOf(r *Result, hooks bool) []reviewed {
	var all []reviewed
	for _, key := range slices.Sorted(maps.Keys(r.Objects)) {
		fields, err := object.DecodeNumbers(r.Objects[key])
		if err != nil || r.ByKey[key].Hook && !hooks {
			continue
		}
		apiVersion, kind, namespace, name := key.Parts()
		all = append(all, reviewed{key, apiVersion, namespace, r.namespace, kind, name, fields})
	}
	return all
}

// Review looks for what makes rollouts lose requests or capacity: pods behind a Service without preStop delay, replicas
// next to an HPA, config that pods do not notice (no checksum annotation and no hashed name), and for ports that do not exist.
// It works on what is shown, so that findings hold no secret.
func Review(r *Result) []Finding {
	all := reviewedOf(r, false) // hooks are gone before the rollout
	out := slices.Clone(r.Unproven)
	for _, w := range all {
		if w.isCore("Service") {
			out = append(out, reviewTargetPorts(w, all)...)
		}
		out = append(out, reviewBackends(w, all)...)
		if object.PodTemplate(w.fields) == nil || w.kind == "Job" || w.kind == "CronJob" {
			continue
		}
		out = append(out, reviewPreStop(w, all)...)
		out = append(out, reviewReplicas(w, all)...)
		out = append(out, reviewConfig(w, all)...)
	}
	return out
}

// reviewPreStop looks for pods behind a Service that stop at once: they get requests until every node has heard of it.
func reviewPreStop(w reviewed, all []reviewed) []Finding {
	template := object.PodTemplate(w.fields)
	labels, _, _ := unstructured.NestedMap(template, "metadata", "labels")
	i := slices.IndexFunc(all, func(s reviewed) bool {
		if s.kind != "Service" || s.namespace != w.namespace {
			return false
		}
		selector, _, _ := unstructured.NestedMap(s.fields, "spec", "selector")
		for k, v := range selector {
			if labels[k] != v {
				return false
			}
		}
		return len(selector) > 0
	})
	if i < 0 {
		return nil
	}
	for _, c := range containersOf(template) {
		if _, delayed, _ := unstructured.NestedFieldNoCopy(c, "lifecycle", "preStop"); delayed {
			return nil
		}
	}
	return []Finding{{ruleNoPreStopDelay, w.key, fmt.Sprintf("its pods are behind %s and stop at once when they are replaced, while "+
		"requests are still sent "+
		"to them, so a rollout drops requests. Give the container lifecycle.preStop.sleep.seconds of 5 to 15, less than "+
		"terminationGracePeriodSeconds",
		all[i].key.Short())}}
}

// reviewReplicas looks for a fixed number of pods next to an autoscaler, which every upgrade by other tools resets.
func reviewReplicas(w reviewed, all []reviewed) []Finding {
	if !object.HasReplicas(w.fields) {
		return nil
	}
	for _, h := range all {
		targets := map[autoscale.Target]bool{}
		autoscale.AddRendered(targets, h.namespace, h.fields)
		if targets[autoscale.Target{Namespace: w.namespace, Kind: w.kind, Name: w.name}] {
			return []Finding{{ruleReplicasAndHPA, w.key, fmt.Sprintf("it sets spec.replicas although %s scales it. Slipway leaves the live "+
				"number alone; "+
				"helm upgrade and helm rollback would reset it. Leave replicas out of the template where autoscaling is on", h.key.Short())}}
		}
	}
	return nil
}

var (
	hashedName = regexp.MustCompile(`-[0-9a-f]{8,}$|-[bcdfghjklmnpqrstvwxz2456789]{10}$`)
	noticing   = regexp.MustCompile(`(?i)checksum|hash|sha256|reloader\.stakater\.com`)
)

// reviewConfig looks for ConfigMaps and Secrets of the release whose change the pods would not notice.
func reviewConfig(w reviewed, all []reviewed) []Finding {
	template := object.PodTemplate(w.fields)
	for _, where := range []map[string]any{template, w.fields} {
		annotations, _, _ := unstructured.NestedMap(where, "metadata", "annotations")
		for key := range annotations {
			if noticing.MatchString(key) {
				return nil
			}
		}
	}
	var unnoticed []string
	for _, o := range all {
		if (o.kind != "ConfigMap" && o.kind != "Secret") || o.namespace != w.namespace || hashedName.MatchString(o.name) ||
			strings.Contains(o.name, "(") || o.fields["immutable"] == true {
			continue
		}
		if readsConfig(template["spec"], o.kind, o.name) {
			unnoticed = append(unnoticed, o.key.Short())
		}
	}
	if len(unnoticed) == 0 {
		return nil
	}
	return []Finding{{ruleConfigNotNoticed, w.key, fmt.Sprintf("its pods read %s, and do not restart when that changes: a release that "+
		"changes only the "+
		"configuration, or a rollback of it, has no effect. Add a checksum/config annotation with the sha256sum of the template to the pod "+
		"template, "+
		"or put a hash of the content into the name", strings.Join(unnoticed, ", "))}}
}

// readsConfig looks for a reference to a ConfigMap or Secret in a pod: environment, volumes, projected volumes.
func readsConfig(v any, kind, name string) bool {
	switch v := v.(type) {
	case map[string]any:
		for field, child := range v {
			ref, isRef := child.(map[string]any)
			switch {
			case kind == "ConfigMap" && (field == "configMapKeyRef" || field == "configMapRef" || field == "configMap"),
				kind == "Secret" && (field == "secretKeyRef" || field == "secretRef" || field == "secret"):
				if isRef && (ref["name"] == name || ref["secretName"] == name) {
					return true
				}
			}
			if readsConfig(child, kind, name) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, func(child any) bool { return readsConfig(child, kind, name) })
	}
	return false
}

func containersOf(template map[string]any) []map[string]any {
	list, _, _ := unstructured.NestedSlice(template, "spec", "containers")
	var out []map[string]any
	for _, item := range list {
		if c, ok := item.(map[string]any); ok {
			out = append(out, c)
		}
	}
	return out
}
