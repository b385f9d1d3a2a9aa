// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
)

func TestPKI_ConvincesClientsAndServers(t *testing.T) {
	c := &Cluster{dir: t.TempDir(), instance: instance{Name: "x", Index: 1, Contexts: []string{"client-a-prod"}}}
	if err := c.ensurePKI(); err != nil {
		t.Fatal(err)
	}
	for _, cert := range c.certificates() {
		authority, err := os.ReadFile(c.path("pki", cert.authority+".crt"))
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(authority)
		pair, err := tls.LoadX509KeyPair(c.path("pki", cert.file+".crt"), c.path("pki", cert.file+".key"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
			t.Errorf("%s: %v", cert.file, err)
		}
		for _, host := range cert.hosts {
			if err := pair.Leaf.VerifyHostname(host); err != nil {
				t.Errorf("%s: %v", cert.file, err)
			}
		}
	}

	before, err := os.ReadFile(c.path("pki", "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.ensurePKI(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(c.path("pki", "ca.crt")); err != nil || string(after) != string(before) {
		t.Errorf("a second call makes another authority (%v)", err)
	}

	if err := c.writeKubeconfig(); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.LoadFromFile(c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if err := clientcmd.Validate(*config); err != nil || len(config.Contexts) != 2 || config.CurrentContext != "x" ||
		config.Contexts["client-a-prod"] == nil {
		t.Errorf("kubeconfig %+v, %v; want contexts x and client-a-prod", config, err)
	}
	if info, err := os.Stat(c.Kubeconfig()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the kubeconfig's mode is %v, %v; want 0600", info.Mode(), err)
	}
}
