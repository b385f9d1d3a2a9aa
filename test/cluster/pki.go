// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// dnsUser is who CoreDNS is to the API server.
const dnsUser = "slipway:dns"

// A certificate of the cluster. Every one serves as client and as server certificate; what its holder may do follows from
// the subject.
type certificate struct {
	file         string // without extension: FILE.crt and FILE.key
	authority    string // file of the authority that signs it
	commonName   string
	organization string
	hosts        []string // names and addresses that a server answers to
	kubeconfig   bool     // also write FILE.kubeconfig
}

func (c *Cluster) certificates() []certificate {
	a := c.addresses()
	node := []string{a.Node.String(), "127.0.0.1", "localhost", c.NodeName()}
	server := append([]string{a.KubernetesService.String(),
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}, node...)
	return []certificate{
		{file: "apiserver", authority: "ca", commonName: "kube-apiserver", hosts: server},
		{file: "apiserver-kubelet-client", authority: "ca", commonName: "kube-apiserver-kubelet-client", organization: "system:masters"},
		{file: "front-proxy-client", authority: "front-proxy-ca", commonName: "front-proxy-client"},
		{
			file:         "kubelet",
			authority:    "ca",
			commonName:   "system:node:" + c.NodeName(),
			organization: "system:nodes",
			hosts:        node,
			kubeconfig:   true,
		},
		{file: "admin", authority: "ca", commonName: "kubernetes-admin", organization: "system:masters", kubeconfig: true},
		{file: "controller-manager", authority: "ca", commonName: "system:kube-controller-manager", kubeconfig: true},
		{file: "scheduler", authority: "ca", commonName: "system:kube-scheduler", kubeconfig: true},
		{file: "proxy", authority: "ca", commonName: "system:kube-proxy", kubeconfig: true},
		{file: "dns", authority: "ca", commonName: dnsUser, organization: "system:masters", kubeconfig: true},
	}
}

// ensurePKI makes the certificates and keys, once in the life of the cluster. They appear all together or not at all.
func (c *Cluster) ensurePKI() error {
	if _, err := os.Stat(c.path("pki")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	tmp, err := os.MkdirTemp(c.dir, ".pki-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	if err := c.writePKI(tmp); err != nil {
		return fmt.Errorf("making the cluster's certificates: %w", err)
	}
	return os.Rename(tmp, c.path("pki"))
}

func (c *Cluster) writePKI(dir string) error {
	authorities := map[string]*authority{}
	for _, name := range []string{"ca", "front-proxy-ca"} {
		a, err := newAuthority(c.Name() + "-" + name)
		if err != nil {
			return err
		}
		if err := writeKeyPair(dir, name, a.pair); err != nil {
			return err
		}
		authorities[name] = a
	}
	for _, cert := range c.certificates() {
		pair, err := authorities[cert.authority].issue(cert)
		if err != nil {
			return fmt.Errorf("%s: %w", cert.file, err)
		}
		if err := writeKeyPair(dir, cert.file, pair); err != nil {
			return err
		}
		if !cert.kubeconfig {
			continue
		}
		data, err := kubeconfig(c.Server(), authorities["ca"].pair.certificate, pair, cert.file, []string{c.Name()})
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, cert.file+".kubeconfig"), data, 0o600); err != nil {
			return err
		}
	}
	// ServiceAccount tokens are signed with this one; RSA is what every consumer of them knows.
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	return errors.Join(
		writePEM(filepath.Join(dir, "service-account.key"), "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)),
		writePEM(filepath.Join(dir, "service-account.pub"), "PUBLIC KEY", public))
}

// keyPair is a certificate and its private key, in PEM.
type keyPair struct{ certificate, key []byte }

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pair        keyPair
}

const certificateLife = 10 * 365 * 24 * time.Hour

func newAuthority(name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template, err := certificateTemplate(pkix.Name{CommonName: name})
	if err != nil {
		return nil, err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage |= x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	pair, err := encodeKeyPair(der, key)
	return &authority{certificate: parsed, key: key, pair: pair}, err
}

func (a *authority) issue(cert certificate) (keyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return keyPair{}, err
	}
	subject := pkix.Name{CommonName: cert.commonName}
	if cert.organization != "" {
		subject.Organization = []string{cert.organization}
	}
	template, err := certificateTemplate(subject)
	if err != nil {
		return keyPair{}, err
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	for _, host := range cert.hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return keyPair{}, err
	}
	return encodeKeyPair(der, key)
}

func certificateTemplate(subject pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	begin := time.Now().Add(-time.Hour) // clocks in virtual machines jump
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    begin,
		NotAfter:     begin.Add(certificateLife),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}, nil
}

func encodeKeyPair(der []byte, key *ecdsa.PrivateKey) (keyPair, error) {
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return keyPair{}, err
	}
	return keyPair{
		certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:         pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}),
	}, nil
}

func writeKeyPair(dir, name string, pair keyPair) error {
	return errors.Join(
		os.WriteFile(filepath.Join(dir, name+".crt"), pair.certificate, 0o600),
		os.WriteFile(filepath.Join(dir, name+".key"), pair.key, 0o600))
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
