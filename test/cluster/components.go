// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"fmt"
	"net"
	"time"
)

// component is one long-running program of the cluster. To run another program next to Kubernetes, add it to components.
type component struct {
	name    string
	command []string // the program, looked up in Programs and the system's PATH, and its arguments
	stage   stage
	// needs reports whether the component can be started; nil means at once. It is polled. Most components wait for the
	// others by themselves; it is for those that give up, or wait too long between attempts.
	needs func(ctx context.Context) bool
}

// stage defines when a component is stopped: agents first, then the API server that they talk to, then the stores.
type stage int

const (
	agents stage = iota
	apiServer
	stores
)

// grace is how long a component has to end. The API server would wait a minute for watches to end by themselves.
func (s stage) grace() time.Duration {
	if s == stores {
		return 10 * time.Second
	}
	return 2 * time.Second
}

// components are the programs of the cluster, in the order that they are shown in.
func (c *Cluster) components() []component {
	all := []component{c.etcd(), c.apiServer(), c.controllerManager()}
	if c.ControlPlaneOnly() {
		return all
	}
	return append(all,
		component{
			name: "scheduler",
			command: append([]string{
				"kube-scheduler", "--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false", "--kube-api-qps=300",
				"--kube-api-burst=600",
			}, c.kubeconfigFlags("scheduler")...),
			needs: c.apiServerReady,
		},
		component{
			name:    "containerd",
			command: []string{"containerd", "--config", c.path("etc", "containerd.toml")},
			stage:   stores,
		},
		component{
			name: "kubelet",
			command: []string{"kubelet",
				"--config=" + c.path("etc", "kubelet.yaml"), "--kubeconfig=" + c.path("pki", "kubelet.kubeconfig"),
				"--hostname-override=" + c.NodeName(), "--node-ip=" + c.addresses().Node.String()},
			needs: containerdListens,
		},
		component{
			name:    "proxy",
			command: []string{"kube-proxy", "--config=" + c.path("etc", "proxy.yaml")},
			needs:   c.apiServerReady,
		},
		component{
			name:    "dns",
			command: []string{"coredns", "-conf", c.path("etc", "Corefile")},
			needs:   c.apiServerReady,
		},
	)
}

func (c *Cluster) etcd() component {
	client := fmt.Sprintf("http://127.0.0.1:%d", etcdPort)
	peer := fmt.Sprintf("http://127.0.0.1:%d", etcdPeerPort)
	return component{
		name:  "etcd",
		stage: stores,
		command: []string{"etcd", "--name=node", "--data-dir=/var/lib/etcd", "--log-level=warn",
			"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
			"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=node=" + peer,
			// Survives any kill of a process; a power failure may cost the cluster's data, which can be made again.
			"--unsafe-no-fsync"},
	}
}

func (c *Cluster) apiServer() component {
	a := c.addresses()
	pki := func(file string) string { return c.path("pki", file) }
	return component{
		name:  "apiserver",
		stage: apiServer,
		needs: func(ctx context.Context) bool {
			return listens(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", etcdPort))
		},
		command: []string{"kube-apiserver",
			fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", etcdPort),
			"--bind-address=" + a.Node.String(), "--advertise-address=" + a.Node.String(), fmt.Sprintf("--secure-port=%d", apiPort),
			"--service-cluster-ip-range=" + a.Services.String(),
			"--allow-privileged=true", "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
			"--client-ca-file=" + pki("ca.crt"),
			"--tls-cert-file=" + pki("apiserver.crt"), "--tls-private-key-file=" + pki("apiserver.key"),
			"--kubelet-client-certificate=" + pki("apiserver-kubelet-client.crt"), "--kubelet-client-key=" + pki("apiserver-kubelet-client.key"),
			"--kubelet-certificate-authority=" + pki("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
			"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
			"--service-account-key-file=" + pki("service-account.pub"), "--service-account-signing-key-file=" + pki("service-account.key"),
			"--requestheader-client-ca-file=" + pki("front-proxy-ca.crt"), "--requestheader-allowed-names=front-proxy-client",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-", "--requestheader-group-headers=X-Remote-Group",
			"--requestheader-username-headers=X-Remote-User",
			"--proxy-client-cert-file=" + pki("front-proxy-client.crt"), "--proxy-client-key-file=" + pki("front-proxy-client.key"),
			"--enable-aggregator-routing=true", "--profiling=false",
			"--audit-policy-file=" + c.path("etc", "audit-policy.yaml"), "--audit-log-path=" + c.auditLog(),
			"--audit-log-maxsize=100", "--audit-log-maxbackup=5"},
	}
}

func (c *Cluster) controllerManager() component {
	command := append([]string{"kube-controller-manager", "--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false",
		// The defaults make a new namespace wait seconds for its ServiceAccount.
		"--kube-api-qps=300", "--kube-api-burst=600",
		"--use-service-account-credentials=true", "--service-account-private-key-file=" + c.path("pki", "service-account.key"),
		"--root-ca-file=" + c.path("pki", "ca.crt"),
		"--cluster-signing-cert-file=" + c.path("pki", "ca.crt"), "--cluster-signing-key-file=" + c.path("pki", "ca.key"),
	}, c.kubeconfigFlags("controller-manager")...)
	// It ends if it is started before the API server has made the roles that it needs.
	return component{name: "controller-manager", command: command, needs: c.apiServerReady}
}

func (c *Cluster) kubeconfigFlags(user string) []string {
	path := c.path("pki", user+".kubeconfig")
	return []string{"--kubeconfig=" + path, "--authentication-kubeconfig=" + path, "--authorization-kubeconfig=" + path}
}

// containerdSocket is inside the node; from the host it is below /proc/PID/root.
const containerdSocket = "/run/containerd/containerd.sock"

func containerdListens(ctx context.Context) bool { return listens(ctx, "unix", containerdSocket) }

func listens(ctx context.Context, network, address string) bool {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// poll waits until condition holds, or ctx is done.
func poll(ctx context.Context, every time.Duration, condition func(ctx context.Context) bool) error {
	for !condition(ctx) {
		if err := sleep(ctx, every); err != nil {
			return err
		}
	}
	return nil
}
