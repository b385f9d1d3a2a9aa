// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"net/http/httptest"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

func TestAnswer_ListsRunningPodsThatEnableScraping(t *testing.T) {
	asks := map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}
	running := corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "198.18.0.7"}
	indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	lister := corelisters.NewPodLister(indexer)
	get := func() string {
		w := httptest.NewRecorder()
		answer(w, lister)
		return w.Body.String()
	}
	if got := get(); got != "[]" {
		t.Errorf("without pods: %s", got)
	}
	for _, pod := range []corev1.Pod{
		{ObjectMeta: metav1.ObjectMeta{Name: "asks", Annotations: asks}, Status: running},
		{ObjectMeta: metav1.ObjectMeta{Name: "asks-not"}, Status: running},
		{ObjectMeta: metav1.ObjectMeta{Name: "no-port", Annotations: map[string]string{"prometheus.io/scrape": "true"}}, Status: running},
		{
			ObjectMeta: metav1.ObjectMeta{Name: "ended", Annotations: asks},
			Status:     corev1.PodStatus{Phase: corev1.PodSucceeded, PodIP: "198.18.0.8"},
		},
		{ObjectMeta: metav1.ObjectMeta{Name: "starts", Annotations: asks}, Status: corev1.PodStatus{Phase: corev1.PodRunning}},
	} {
		pod.Namespace = "client-a"
		if err := indexer.Add(&pod); err != nil {
			t.Fatal(err)
		}
	}
	var groups []group
	if err := json.Unmarshal([]byte(get()), &groups); err != nil {
		t.Fatal(err)
	}
	if len(groups) != 1 || groups[0].Targets[0] != "198.18.0.7:8080" || groups[0].Labels["pod"] != "asks" ||
		groups[0].Labels["namespace"] != "client-a" || groups[0].Labels["__metrics_path__"] != "/metrics" {
		t.Errorf("got %+v", groups)
	}
}
