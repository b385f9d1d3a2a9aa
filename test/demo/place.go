// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/slipway-dev/terraform-provider-slipway/test/cluster"
)

// clusterName is the demo's local Kubernetes, and the name of its directory in the cache.
var clusterName = "slipway-demo"

// place is the cluster that the demo deploys to.
type place struct {
	kubeconfig string
	local      bool
	// context is the one to use for both clients; empty on the local cluster, which has a context for each.
	context string
	// repository is the sample service's image without its tag; empty on the local cluster, which has the images.
	repository string
	client     kubernetes.Interface
	// prometheus says whether the cluster has one where clients.tf looks for it.
	prometheus bool
	// istio says whether the cluster has one where the callers look for it.
	istio bool
	// database is nil where the clients get none.
	database *databaseServer
	// uid distinguishes clusters, whatever they are called.
	uid string
}

// choosePlace decides between the local Kubernetes and the cluster of KUBECONFIG, which may be the local one of an
// earlier run.
func choosePlace() (place, error) {
	cache, err := cluster.CacheDir()
	if err != nil {
		return place{}, err
	}
	local := place{local: true, kubeconfig: filepath.Join(cache, "clusters", clusterName, "kubeconfig")}
	given := os.Getenv("KUBECONFIG")
	if given == "" || given == local.kubeconfig {
		return local, nil
	}
	config, err := clientcmd.NewDefaultClientConfigLoadingRules().Load()
	if err != nil {
		return place{}, fmt.Errorf("%w: reading KUBECONFIG=%s: %w", errUsage, given, err)
	}
	if config.CurrentContext == "" {
		return place{}, fmt.Errorf("%w: KUBECONFIG=%s has no current context; choose one with `kubectl config use-context`", errUsage, given)
	}
	p := place{kubeconfig: given, context: config.CurrentContext, repository: os.Getenv("DEMO_IMAGE")}
	if p.repository == "" {
		return place{}, fmt.Errorf(`%w: a cluster of yours needs the sample service in a registry that it can pull from.
Build the images with

    go run ./test/image/cmd/image data-collection --version %s --version %s --version %s:%s --out images.tar

push them with those tags, name the repository and run the demo again:

    DEMO_IMAGE=registry.example.com/data-collection KUBECONFIG=%s make demo

Without KUBECONFIG the demo runs on a local Kubernetes`, errUsage, oldVersion, newVersion, badVersion, badFault, given)
	}
	return p, nil
}

// connect makes the client and learns which cluster it is.
func (p *place) connect(ctx context.Context) error {
	loading := clientcmd.NewDefaultClientConfigLoadingRules()
	loading.ExplicitPath = p.kubeconfig
	if !p.local {
		loading = clientcmd.NewDefaultClientConfigLoadingRules()
	}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(loading,
		&clientcmd.ConfigOverrides{CurrentContext: p.context}).ClientConfig()
	if err != nil {
		return fmt.Errorf("reading the kubeconfig %s: %w", p.kubeconfig, err)
	}
	if p.client, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	system, err := p.client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("asking the cluster of %s who it is: %w", p.kubeconfig, err)
	}
	p.uid = string(system.UID)
	if p.prometheus, err = p.hasService(ctx, "monitoring", "prometheus"); err != nil {
		return err
	}
	p.istio, err = p.hasService(ctx, "istio-system", "istiod")
	return err
}

func (p *place) hasService(ctx context.Context, namespace, name string) (bool, error) {
	_, err := p.client.CoreV1().Services(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("looking for the Service %s in the namespace %s: %w", name, namespace, err)
	}
	return err == nil, nil
}

// variables are the arguments that the place adds to each plan and apply.
func (p *place) variables() []string {
	if p.local {
		return nil
	}
	variables := []string{"-var", "context=" + p.context}
	if !p.prometheus {
		variables = append(variables, "-var", "prometheus=null")
	}
	return variables
}
