// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package harness connects tests to the cluster of SLIPWAY_TEST_KUBECONFIG. It imports no package of the provider, so that the tests
// of each of them can use it. Package tenant builds on it for tests that need the provider's own connection and a handle.
package harness

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// KubeconfigVariable is the environment variable with the path of the test cluster's kubeconfig.
const KubeconfigVariable = "SLIPWAY_TEST_KUBECONFIG"

// Kubeconfig returns the path of the test cluster's kubeconfig. It skips the test when there is no cluster.
func Kubeconfig(t testing.TB) string {
	t.Helper()
	path := os.Getenv(KubeconfigVariable)
	if path == "" {
		t.Skip(KubeconfigVariable + " is not set: no cluster to test against")
	}
	return path
}

// Context returns the name of the kubeconfig context of the test cluster.
func Context(t testing.TB) string {
	t.Helper()
	return load(t).CurrentContext
}

func load(t testing.TB) *api.Config {
	t.Helper()
	config, err := clientcmd.LoadFromFile(Kubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// Impersonating writes a kubeconfig for the test cluster whose user acts as another user in the given groups, and returns its path.
func Impersonating(t testing.TB, user string, groups ...string) string {
	t.Helper()
	config := load(t)
	auth := config.AuthInfos[config.Contexts[config.CurrentContext].AuthInfo]
	auth.Impersonate, auth.ImpersonateGroups = user, groups
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// Config returns the client configuration of the test cluster. It calls itself slipway-test, does not limit its own
// requests and prints no warnings.
func Config(t testing.TB) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", Kubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.WarningHandler, config.UserAgent = -1, rest.NoWarnings{}, "slipway-test"
	return config
}

// shared holds one client per kubeconfig path: all tests of a process share its connections.
var shared struct {
	sync.Mutex
	clients map[string]*kubernetes.Clientset
}

// Kubernetes returns a client of the test cluster that is not the provider's own.
func Kubernetes(t testing.TB) *kubernetes.Clientset {
	t.Helper()
	path := Kubeconfig(t)
	shared.Lock()
	defer shared.Unlock()
	if made, ok := shared.clients[path]; ok {
		return made
	}
	made, err := kubernetes.NewForConfig(Config(t))
	if err != nil {
		t.Fatal(err)
	}
	if shared.clients == nil {
		shared.clients = map[string]*kubernetes.Clientset{}
	}
	shared.clients[path] = made
	return made
}

// Name returns a name that starts with prefix and that no other test has.
func Name(prefix string) string {
	return prefix + "-" + strings.ToLower(rand.Text()[:6])
}

// patience is how long tests wait for something in the cluster. It is far longer than that takes, so that a busy machine fails no test.
const patience = 5 * time.Minute

// Eventually polls until the condition is true. The test fails when that takes longer than 5 minutes; what says for what it waited.
func Eventually(t testing.TB, what string, condition func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		if condition(ctx) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("gave up after %s waiting until %s", patience, what)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
