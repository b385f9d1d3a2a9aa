// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Command discovery lists the pods of the cluster for Prometheus to scrape, over HTTP service discovery: Debian builds
// Prometheus without the discovery of Kubernetes' own. It runs next to Prometheus in its pod.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
)

// address is reached from within the pod only.
const address = "127.0.0.1:9099"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "discovery:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods()
	lister, informer := pods.Lister(), pods.Informer()
	factory.Start(ctx.Done())

	mux := http.NewServeMux()
	mux.HandleFunc("GET /targets", func(w http.ResponseWriter, _ *http.Request) {
		// Until all pods are known, Prometheus keeps what it has.
		if !informer.HasSynced() {
			http.Error(w, "the pods are not known yet", http.StatusServiceUnavailable)
			return
		}
		answer(w, lister)
	})
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return server.Close()
	}
}

func answer(w http.ResponseWriter, lister corelisters.PodLister) {
	pods, err := lister.List(labels.Everything())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	groups := []group{} // "[]" rather than "null"
	for _, pod := range pods {
		if g, wanted := target(pod); wanted {
			groups = append(groups, g)
		}
	}
	text, err := json.Marshal(groups)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(text); err != nil && !errors.Is(err, syscall.EPIPE) {
		fmt.Fprintln(os.Stderr, "discovery: answering:", err)
	}
}

// group is what Prometheus calls a target group.
type group struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// target is where a pod is scraped, if it runs and its annotations enable it.
func target(pod *corev1.Pod) (group, bool) {
	const prefix = "prometheus.io/"
	port := pod.Annotations[prefix+"port"]
	if pod.Annotations[prefix+"scrape"] != "true" || port == "" || pod.Status.Phase != corev1.PodRunning || pod.Status.PodIP == "" {
		return group{}, false
	}
	return group{
		Targets: []string{net.JoinHostPort(pod.Status.PodIP, port)},
		Labels: map[string]string{
			"namespace":        pod.Namespace,
			"pod":              pod.Name,
			"__metrics_path__": cmp.Or(pod.Annotations[prefix+"path"], "/metrics"),
		},
	}, true
}
