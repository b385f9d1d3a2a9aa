// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package namespace

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
)

// inhabitant is a kind of object that a user would miss when a namespace is deleted.
type inhabitant struct {
	resource schema.GroupVersionResource
	what     string
	selector string
	// counts leaves out what is done or belongs to something else in the list.
	counts func(*unstructured.Unstructured) bool
}

var inhabitantKinds = []inhabitant{
	{resource: schema.GroupVersionResource{Version: "v1", Resource: "secrets"}, what: "Helm release", selector: "owner=helm", counts: always},
	{resource: schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, what: "Deployment", counts: unowned},
	{resource: schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"}, what: "StatefulSet", counts: unowned},
	{resource: schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "daemonsets"}, what: "DaemonSet", counts: unowned},
	{resource: schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "cronjobs"}, what: "CronJob", counts: unowned},
	{resource: schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}, what: "Job", counts: runningJob},
	{resource: schema.GroupVersionResource{Version: "v1", Resource: "pods"}, what: "Pod", counts: runningPod},
	{resource: schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}, what: "PersistentVolumeClaim", counts: always},
}

// inhabitants lists, sorted, what is left in a namespace: releases, workloads that run, and claims, which hold data.
func inhabitants(ctx context.Context, c *cluster.Cluster, client dynamic.Interface, namespace string) ([]string, error) {
	found := map[string]struct{}{}
	for _, kind := range inhabitantKinds {
		list, err := client.Resource(kind.resource).Namespace(namespace).List(ctx, metav1.ListOptions{LabelSelector: kind.selector})
		if err != nil {
			return nil, c.Classify(fmt.Errorf("looking for what is left in namespace %s: listing %s: %w", namespace, kind.resource.Resource, err))
		}
		for i := range list.Items {
			object := &list.Items[i]
			if object.GetDeletionTimestamp() != nil || !kind.counts(object) {
				continue
			}
			name := object.GetName()
			if kind.selector != "" { // Helm keeps one Secret for each revision.
				name = object.GetLabels()["name"]
			}
			found[kind.what+"/"+name] = struct{}{}
		}
	}
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

func always(*unstructured.Unstructured) bool { return true }

func unowned(object *unstructured.Unstructured) bool { return len(object.GetOwnerReferences()) == 0 }

func runningJob(job *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(job.Object, "status", "conditions")
	for _, entry := range conditions {
		condition, _ := entry.(map[string]any)
		if (condition["type"] == "Complete" || condition["type"] == "Failed") && condition["status"] == "True" {
			return false
		}
	}
	return unowned(job)
}

func runningPod(pod *unstructured.Unstructured) bool {
	phase, _, _ := unstructured.NestedString(pod.Object, "status", "phase")
	return unowned(pod) && phase != "Succeeded" && phase != "Failed"
}
