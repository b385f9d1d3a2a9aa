// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// childVariable makes the test binary an apply in a process of its own.
const childVariable = "SLIPWAY_TEST_APPLY"

type childOrder struct {
	Context, Namespace, ID string
	Values                 map[string]any
	// Die is the beginning of the sentence of progress, or "last write", at which the child kills itself.
	// "rollback's last write" likewise.
	Die string
	// Ready watches the release with asksReady; Hooks runs rollback hooks.
	Ready, Hooks bool
}

func TestMain(m *testing.M) {
	if order := os.Getenv(childVariable); order != "" {
		if err := runChild(order); err != nil {
			fmt.Println("child failed:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// The tests mostly wait for the cluster.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func runChild(text string) error {
	var order childOrder
	if err := json.Unmarshal([]byte(text), &order); err != nil {
		return err
	}
	c, err := cluster.NewConnections(cluster.Config{ConfigPaths: []string{os.Getenv(harness.KubeconfigVariable)},
		UserAgent: "slipway-test-child"}).
		Cluster(context.Background(), cluster.Coordinate{Context: order.Context})
	if err != nil {
		return err
	}
	cache, err := os.MkdirTemp("", "slipway-child-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(cache) }()
	spec, err := loadOperationSpec(context.Background(), cache, "app", order.Values)
	if err != nil {
		return err
	}
	options := ApplyOptions{InstanceID: order.ID, Timeout: 3 * time.Minute, graces: shortGraces, Progress: func(sentence string) {
		fmt.Println("progress:", sentence)
		if order.Die != "" && strings.HasPrefix(sentence, order.Die) {
			dieNow()
		}
	}}
	if order.Ready {
		options.Verification = asksReady()
		options.Verification.Rollback.RunHooks = order.Hooks
	}
	if strings.HasSuffix(order.Die, "last write") {
		rollback := strings.HasPrefix(order.Die, "rollback")
		options.storage = func(d driver.Driver) driver.Driver {
			return &failingStorage{Driver: d, fail: func(r *helmrelease.Release, creating bool) bool {
				if !creating && r.Info.Status == helmrelease.StatusDeployed && rollback == strings.HasPrefix(r.Info.Description, "Rollback to") {
					dieNow()
				}
				return false
			}}
		}
	}
	outcome, err := Apply(context.Background(), benchTarget(c, order.Namespace), spec, options)
	fmt.Println("recovered:", strings.Join(outcome.Recovered, "; "))
	return err
}

// dieNow ends the process as kill -9 does.
func dieNow() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// startChild applies the test chart in a process of its own. All children of a test process count as one Terraform run.
func (b *bench) startChild(values map[string]any, die string) *exec.Cmd {
	b.t.Helper()
	return b.startOrder(childOrder{Values: values, Die: die})
}

func (b *bench) startOrder(given childOrder) *exec.Cmd {
	b.t.Helper()
	all := map[string]any{"image": harness.Image()}
	for k, v := range given.Values {
		all[k] = v
	}
	given.Context, given.Namespace, given.ID, given.Values = b.target.Handle.Cluster.Context, b.namespace(), b.id, all
	order, err := json.Marshal(given)
	if err != nil {
		b.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	child := exec.CommandContext(b.t.Context(), self)
	child.Env = append(os.Environ(), childVariable+"="+string(order))
	out := &bytes.Buffer{}
	child.Stdout, child.Stderr = out, out
	if err := child.Start(); err != nil {
		b.t.Fatal(err)
	}
	return child
}

// childOutput is what a child that has ended has written.
func childOutput(child *exec.Cmd) string {
	out, ok := child.Stdout.(*bytes.Buffer)
	if !ok {
		return ""
	}
	return out.String()
}
