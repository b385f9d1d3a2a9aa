// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package environment

import "testing"

func TestHost_IsANameOrAnAddress(t *testing.T) {
	for host, want := range map[string]bool{
		"client-a-db.example.internal": true, "10.0.0.1": true, "::1": true, "DB.example.": true, "localhost": true,
		"": false, "a b": false, "db:5432": false, "postgres://db": false,
	} {
		if got := ValidHost(host); got != want {
			t.Errorf("%q is a host: %v, want %v", host, got, want)
		}
	}
}

func TestSystemNamespace_IsThatOfKubernetes(t *testing.T) {
	for name, want := range map[string]bool{"kube-system": true, "kube-public": true, "default": false, "kubeflow": false} {
		if got := SystemNamespace(name); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}
