// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
)

func TestDown_LeavesNothingOnTheHost(t *testing.T) {
	needRealCluster(t)
	before := hostState(t)
	c := newCluster(t, Options{Name: "test-down"})
	if _, err := c.Load(t.Context(), testServerArchive(t)); err != nil {
		t.Fatal(err)
	}
	client := clientOf(t, c)
	deployWeb(t, client)
	pid, err := c.PID()
	if err != nil {
		t.Fatal(err)
	}
	mounts, network := namespaceOf(t, pid, "mnt"), namespaceOf(t, pid, "net")
	if len(processesOf(t, mounts, "mnt")) < 9 {
		t.Fatalf("processes of a running cluster: %v; want at least the supervisor and 8 components", processesOf(t, mounts, "mnt"))
	}
	if during := hostState(t); slices.Equal(traces(t, c), nil) || !slices.Equal(during, before) {
		t.Errorf("while it runs, only its link, routes and cgroups show: %v\nbefore %q\nduring %q", traces(t, c), before, during)
	}

	if err := c.Down(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if after := hostState(t); !slices.Equal(after, before) {
		t.Errorf("the host changed:\nbefore %q\nafter  %q", before, after)
	}
	if left := traces(t, c); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	if left := append(processesOf(t, mounts, "mnt"), processesOf(t, network, "net")...); len(left) != 0 {
		t.Errorf("processes left in the cluster's namespaces: %v", left)
	}
	if err := c.Down(t.Context(), nil); err != nil {
		t.Errorf("a second Down: %v", err)
	}

	// The data is there again.
	upCluster(t, Options{Name: c.Name()})
	waitForWeb(t, client)
	answersByService(t, client)

	if err := c.Purge(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.Dir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the data after Purge: %v; want that it does not exist", err)
	}
	if _, err := Open(c.Name()); !errors.Is(err, ErrNotFound) {
		t.Errorf("Open after Purge: %v; want ErrNotFound", err)
	}
}

func TestUp_RepairsAClusterWhoseSupervisorWasKilled(t *testing.T) {
	needRealCluster(t)
	c := newCluster(t, Options{Name: "test-killed"})
	if _, err := c.Load(t.Context(), testServerArchive(t)); err != nil {
		t.Fatal(err)
	}
	client := clientOf(t, c)
	deployWeb(t, client)
	pid, err := c.PID()
	if err != nil {
		t.Fatal(err)
	}
	pids := namespaceOf(t, pid, "pid")
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "every process of the cluster ends with its supervisor", func() error {
		if left := processesOf(t, pids, "pid"); len(left) != 0 {
			return fmt.Errorf("processes %v", left)
		}
		return nil
	})
	if pid, err := c.PID(); pid != 0 || err != nil {
		t.Errorf("PID of the dead cluster: %d, %v; want 0", pid, err)
	}

	upCluster(t, Options{Name: c.Name()})
	waitForWeb(t, client)
	answersByService(t, client)
}

// The command is killed at moments from before its first step to after its last. Whatever is there then, the next up must
// complete it, or the next down remove it.
func TestUp_CompletesAnUpThatWasKilled(t *testing.T) {
	needRealCluster(t)
	const name = "test-interrupted"
	purgeByName(t, name)
	t.Cleanup(func() { purgeByName(t, name) })
	upCluster(t, Options{Name: name}) // builds what is missing
	purgeByName(t, name)
	program := filepath.Join(t.TempDir(), "cluster")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/cluster").CombinedOutput(); err != nil {
		t.Fatalf("building the command: %v\n%s", err, out)
	}

	for i, milliseconds := range []int{5, 50, 100, 150, 200, 250, 300, 350, 400, 500, 700, 1000, 2000, 3500} {
		delay := time.Duration(milliseconds) * time.Millisecond
		killUp(t, program, name, delay)
		c, err := Open(name)
		if errors.Is(err, ErrNotFound) {
			t.Logf("killed after %s: nothing there yet", delay)
			continue
		}
		if err != nil {
			t.Fatalf("Open after a kill after %s: %v", delay, err)
		}
		pid, err := c.PID()
		t.Logf("killed after %s: supervisor %d, %v; on the host %q", delay, pid, err, traces(t, c))
		switch i % 3 {
		case 0: // the next round continues
		case 1:
			if err := c.Down(t.Context(), nil); err != nil {
				t.Fatalf("Down after a kill after %s: %v", delay, err)
			}
			if left := traces(t, c); len(left) != 0 {
				t.Fatalf("Down after a kill after %s left %q", delay, left)
			}
		case 2:
			if err := c.Purge(t.Context(), nil); err != nil {
				t.Fatalf("Purge after a kill after %s: %v", delay, err)
			}
		}
	}
	killUp(t, program, name, 300*time.Millisecond)
	c := upCluster(t, Options{Name: name})
	if _, err := clientOf(t, c).CoreV1().Nodes().Get(t.Context(), c.NodeName(), metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}

func killUp(t *testing.T, program, name string, delay time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), delay)
	defer cancel()
	_ = exec.CommandContext(ctx, program, "up", "--name", name).Run() // killed; or done, if the machine is fast
}

func TestClusters_RunSideBySide(t *testing.T) {
	needRealCluster(t)
	a := newCluster(t, Options{Name: "test-a", Contexts: []string{"client-a-prod"}})
	b := newCluster(t, Options{Name: "test-b"})
	archive := testServerArchive(t)
	identities := map[string]bool{}
	for _, c := range []*Cluster{a, b} {
		if _, err := c.Load(t.Context(), archive); err != nil {
			t.Fatal(err)
		}
		client := clientOf(t, c)
		deployWeb(t, client)
		answersByService(t, client)
		namespace, err := client.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		identities[string(namespace.UID)] = true
	}
	if len(identities) != 2 {
		t.Errorf("UIDs of kube-system: %v; want two", identities)
	}
	if a.addresses().Block.Overlaps(b.addresses().Block) {
		t.Errorf("addresses %s and %s overlap", a.addresses().Block, b.addresses().Block)
	}

	// One goes, the other stays.
	if err := a.Purge(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	answersByService(t, clientOf(t, b))
}

func TestUp_WithoutANode(t *testing.T) {
	needRealCluster(t)
	c := newCluster(t, Options{Name: "test-control-plane", ControlPlaneOnly: true, Contexts: []string{"client-a-prod"}})
	client := clientOf(t, c)
	nodes, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(nodes.Items) != 0 {
		t.Errorf("nodes: %v, %v; want none", nodes, err)
	}
	if _, err := c.Load(t.Context(), "unused.tar"); err == nil {
		t.Error("Load into a cluster without a node succeeded")
	}
	if _, err := Up(t.Context(), Options{Name: c.Name()}); err == nil || !strings.Contains(err.Error(), "control-plane-only") {
		t.Errorf("Up with a node: %v; want an error that names control-plane-only", err)
	}

	// Up again is quick, and adds contexts to those that there are.
	begin := time.Now()
	upCluster(t, Options{Name: c.Name(), ControlPlaneOnly: true, Contexts: []string{"client-b-prod"}})
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("Up of a running cluster took %s", took)
	}
	config, err := clientcmd.LoadFromFile(c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, context := range []string{c.Name(), "client-a-prod", "client-b-prod"} {
		if got := config.Contexts[context]; got == nil || config.Clusters[got.Cluster].Server != c.Server() {
			t.Errorf("context %s: %+v; want one to %s", context, got, c.Server())
		}
	}
	if config.CurrentContext != c.Name() {
		t.Errorf("current context %s; want %s", config.CurrentContext, c.Name())
	}
	if pid, err := c.PID(); pid == 0 || err != nil {
		t.Errorf("PID %d, %v", pid, err)
	}
}

// hostState is what a cluster must not change on the host: its mounts, kernel parameters and directories that Kubernetes
// usually has.
func hostState(t *testing.T) []string {
	t.Helper()
	var state []string
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	state = append(state, string(mounts))
	for _, parameter := range []string{
		"net/ipv4/ip_forward", "vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
		"kernel/keys/root_maxkeys", "kernel/hostname", "net/netfilter/nf_conntrack_max",
	} {
		value, err := os.ReadFile("/proc/sys/" + parameter)
		if err == nil {
			state = append(state, parameter+"="+strings.TrimSpace(string(value)))
		}
	}
	for _, dir := range []string{
		"/var/lib/kubelet", "/var/lib/cni", "/var/lib/etcd", "/var/log/pods", "/var/log/containers", "/etc/cni/net.d",
		"/run/netns",
	} {
		entries, err := os.ReadDir(dir)
		state = append(state, fmt.Sprintf("%s: %d entries, exists %t", dir, len(entries), err == nil))
	}
	return state
}

// traces are what the cluster has on the host in addition to processes: link, routes and cgroups.
func traces(t *testing.T, c *Cluster) []string {
	t.Helper()
	var found []string
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if link.Attrs().Alias == c.Dir() || link.Attrs().Name == c.addresses().HostLink {
			found = append(found, "link "+link.Attrs().Name)
		}
	}
	prefixes, err := hostPrefixes()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range prefixes {
		if p.Overlaps(c.addresses().Block) && p.Bits() > 0 {
			found = append(found, "route to "+p.String())
		}
	}
	for _, pattern := range []string{"/sys/fs/cgroup/" + c.cgroupName(), "/sys/fs/cgroup/*/" + c.cgroupName()} {
		cgroups, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, cgroups...)
	}
	return found
}

func namespaceOf(t *testing.T, pid int, kind string) string {
	t.Helper()
	id, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// processesOf returns the processes that are in a namespace.
func processesOf(t *testing.T, namespace, kind string) []int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if id, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind)); err == nil && id == namespace {
			pids = append(pids, pid)
		}
	}
	return pids
}
