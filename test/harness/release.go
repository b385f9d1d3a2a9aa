// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package harness

import (
	"testing"

	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
)

// StoreRelease stores a deployed first revision of a Helm release, without its objects.
func StoreRelease(t testing.TB, namespace, name, manifest string) {
	t.Helper()
	stored := &helmrelease.Release{
		Name: name, Namespace: namespace, Version: 1, Manifest: manifest, Info: &helmrelease.Info{Status: helmrelease.StatusDeployed},
	}
	storage := driver.NewSecrets(Kubernetes(t).CoreV1().Secrets(namespace))
	if err := storage.Create("sh.helm.release.v1."+name+".v1", stored); err != nil {
		t.Fatal(err)
	}
}
