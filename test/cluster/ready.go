// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	applydiscoveryv1 "k8s.io/client-go/applyconfigurations/discovery/v1"
	"k8s.io/client-go/kubernetes"
)

// apiServerReady reports whether the API server answers that it is ready, to a client that its certificate convinces.
func (c *Cluster) apiServerReady(ctx context.Context) bool {
	certificate, err1 := tls.LoadX509KeyPair(c.path("pki", "admin.crt"), c.path("pki", "admin.key"))
	authority, err2 := os.ReadFile(c.path("pki", "ca.crt"))
	if err1 != nil || err2 != nil {
		return false
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}},
		DisableKeepAlives: true,
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Server()+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// waitUntilReady waits until workloads can be applied and will run.
func (c *Cluster) waitUntilReady(ctx context.Context, log *stepLog) error {
	if err := c.waitFor(ctx, "the API server to be ready", func(ctx context.Context) (bool, error) {
		return c.apiServerReady(ctx), nil
	}); err != nil {
		return err
	}
	log.step("API server ready at %s", c.Server())
	config, err := c.RESTConfig()
	if err != nil {
		return err
	}
	config.UserAgent = "slipway-cluster"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if err := c.waitFor(ctx, "the controllers to serve new namespaces", func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return err == nil, ignoreNotFound(err)
	}); err != nil {
		return err
	}
	if c.ControlPlaneOnly() {
		return nil
	}
	if err := c.applyDNSService(ctx, client); err != nil {
		return err
	}
	if err := c.waitFor(ctx, "the node to be ready", func(ctx context.Context) (bool, error) {
		node, err := client.CoreV1().Nodes().Get(ctx, c.NodeName(), metav1.GetOptions{})
		if err != nil {
			return false, ignoreNotFound(err)
		}
		since, err := c.runningSince("kubelet")
		return err == nil && nodeAcceptsPods(node, since), err
	}); err != nil {
		return err
	}
	log.step("node %s ready", c.NodeName())
	return c.waitFor(ctx, "the DNS server to answer", func(ctx context.Context) (bool, error) {
		return listens(ctx, "tcp", c.addresses().Node.String()+":53"), nil
	})
}

// waitFor polls condition. It fails when ctx is done, and at once when the supervisor is no more.
func (c *Cluster) waitFor(ctx context.Context, what string, condition func(ctx context.Context) (bool, error)) error {
	var last error
	err := poll(ctx, 100*time.Millisecond, func(ctx context.Context) bool {
		ok, err := condition(ctx)
		if err != nil {
			last = err
		}
		if ok {
			last = nil
			return true
		}
		alive, err := isLocked(c.supervisorLock())
		if err == nil && alive {
			return false
		}
		last = errors.Join(errors.New("the cluster's supervisor has ended"), err)
		return true
	})
	if err = errors.Join(err, last); err != nil {
		return fmt.Errorf("waiting for %s: %w; the logs are in %s%s", what, err, c.path("log"), c.troubles())
	}
	return nil
}

// troubles lists, for an error message, the components that do not run.
func (c *Cluster) troubles() string {
	states, err := c.Components()
	if err != nil {
		return ""
	}
	var text string
	for _, s := range states {
		if s.LastExit != "" {
			text += fmt.Sprintf("; %s ended %d times, last with %s", s.Name, s.Restarts+1, s.LastExit)
		}
	}
	return text
}

// nodeAcceptsPods reports whether the node has been ready at some time since its kubelet started. What it reported before, in
// an earlier life, does not count.
func nodeAcceptsPods(node *corev1.Node, kubeletStart time.Time) bool {
	for _, taint := range node.Spec.Taints {
		if taint.Key == corev1.TaintNodeNotReady || taint.Key == corev1.TaintNodeUnreachable {
			return false
		}
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			// The API writes whole seconds.
			fresh := !condition.LastHeartbeatTime.Time.Before(kubeletStart.Truncate(time.Second))
			return fresh && condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// runningSince returns when a component started. It is an error that the component does not run.
func (c *Cluster) runningSince(name string) (time.Time, error) {
	states, err := c.Components()
	if err != nil {
		return time.Time{}, err
	}
	for _, s := range states {
		if s.Name == name && s.Running {
			return s.Since, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s is not running", name)
}

// applyDNSService makes the Service kube-dns. DNS runs on the node, not in a pod, so the Service has no selector and its
// endpoint is written here.
func (c *Cluster) applyDNSService(ctx context.Context, client kubernetes.Interface) error {
	const namespace, name = metav1.NamespaceSystem, "kube-dns"
	a := c.addresses()
	service := applycorev1.Service(name, namespace).
		WithLabels(map[string]string{"k8s-app": name, "kubernetes.io/name": "CoreDNS"}).
		WithSpec(applycorev1.ServiceSpec().WithClusterIP(a.DNSService.String()).WithPorts(
			applycorev1.ServicePort().WithName("dns").WithPort(53).WithProtocol(corev1.ProtocolUDP),
			applycorev1.ServicePort().WithName("dns-tcp").WithPort(53).WithProtocol(corev1.ProtocolTCP)))
	slice := applydiscoveryv1.EndpointSlice(name+"-node", namespace).
		WithLabels(map[string]string{discoveryv1.LabelServiceName: name}).
		WithAddressType(discoveryv1.AddressTypeIPv4).
		WithEndpoints(applydiscoveryv1.Endpoint().WithAddresses(a.Node.String()).
			WithConditions(applydiscoveryv1.EndpointConditions().WithReady(true))).
		WithPorts(
			applydiscoveryv1.EndpointPort().WithName("dns").WithPort(53).WithProtocol(corev1.ProtocolUDP),
			applydiscoveryv1.EndpointPort().WithName("dns-tcp").WithPort(53).WithProtocol(corev1.ProtocolTCP))
	options := metav1.ApplyOptions{FieldManager: "slipway-cluster", Force: true}
	// The range of ClusterIPs may not be set up yet, right after the API server is ready for the first time.
	return c.waitFor(ctx, "the Service of the DNS server to be accepted", func(ctx context.Context) (bool, error) {
		_, err1 := client.CoreV1().Services(namespace).Apply(ctx, service, options)
		_, err2 := client.DiscoveryV1().EndpointSlices(namespace).Apply(ctx, slice, options)
		err := errors.Join(err1, err2)
		return err == nil, err
	})
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
