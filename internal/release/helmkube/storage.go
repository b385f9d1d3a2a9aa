// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package helmkube

import (
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	"k8s.io/client-go/kubernetes"
)

// NewStorage is Helm's storage of releases in Secrets. It has no limit of revisions: Helm would prune known-good ones. wrap may be
// nil; tests let storage fail by it.
func NewStorage(client kubernetes.Interface, namespace string, wrap func(driver.Driver) driver.Driver) *storage.Storage {
	var d driver.Driver = driver.NewSecrets(client.CoreV1().Secrets(namespace))
	if wrap != nil {
		d = wrap(d)
	}
	return storage.Init(d)
}
