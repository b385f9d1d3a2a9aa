// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/test/cluster"
)

const (
	oldVersion = "v1.1.1"
	newVersion = "v1.2.0"
	badVersion = "v1.2.1"
	// badFault is what is wrong with badVersion: it answers every fifth request with 500.
	badFault = "ERROR_SHARE=0.2"
)

// client is one of the clients in clients/, in prod.
type client struct {
	name      string
	namespace string
}

var (
	clientA = client{"client-a", "data-collection-client-a"}
	clientB = client{"client-b", "data-collection-client-b"}
)

func (c client) workspace() string { return c.name + "-prod" }
func (c client) varFile() string   { return "clients/" + c.name + "/prod.tfvars" }

// show is the demo, from beginning to end.
func show(ctx context.Context) error {
	s := newScreen()
	p, err := choosePlace()
	if err != nil {
		return err
	}
	d, err := prepare(ctx, s, &p)
	if err != nil {
		return err
	}

	for _, c := range []client{clientA, clientB} {
		s.heading("Deploy %s for %s, in its own workspace", oldVersion, c.name)
		if err := d.workspace(ctx, c.workspace()); err != nil {
			return err
		}
		if err := d.apply(ctx, c); err != nil {
			return err
		}
	}
	s.heading("Ask both services which version they are")
	if err := expectVersions(ctx, s, p, oldVersion, oldVersion); err != nil {
		return err
	}

	if err := showDatabases(ctx, s, p); err != nil {
		return err
	}
	if err := migrateUnderLoad(ctx, s, d, p); err != nil {
		return err
	}
	if err := upgradeClientA(ctx, s, d); err != nil {
		return err
	}
	s.heading("Ask again: only client A has changed")
	if err := expectVersions(ctx, s, p, newVersion, oldVersion); err != nil {
		return err
	}

	for _, c := range []client{clientA, clientB} {
		s.heading("A second plan for %s has nothing to do", c.name)
		if err := d.workspace(ctx, c.workspace()); err != nil {
			return err
		}
		changes, err := d.plan(ctx, c, "")
		if err != nil {
			return err
		}
		if changes {
			return fmt.Errorf("a plan for %s right after its apply has changes", c.name)
		}
	}

	if err := releaseABadVersion(ctx, s, d, p); err != nil {
		return err
	}

	if err := releaseWithCanaries(ctx, s, d, p); err != nil {
		return err
	}

	if err := mixUpClients(ctx, s, d); err != nil {
		return err
	}
	if err := searchSecret(ctx, s, d, p); err != nil {
		return err
	}
	return tellWhatIsThere(s, d, p)
}

// prepare builds the provider, brings the cluster up and sets up the vendor's repository.
func prepare(ctx context.Context, s *screen, p *place) (*deployments, error) {
	home, err := homeDir()
	if err != nil {
		return nil, err
	}

	s.heading("Build the provider")
	mirror := filepath.Join(home, "mirror")
	if err := s.must(ctx, command{program: "test/install.sh", args: []string{providerVersion, mirror}}); err != nil {
		return nil, err
	}

	if p.local {
		s.heading("Start a local Kubernetes (the first time it is built, which takes some minutes)")
		if err := startLocalCluster(ctx, s, home); err != nil {
			return nil, err
		}
	} else {
		s.heading("Use the cluster of the kubeconfig context %s", p.context)
	}
	if err := p.connect(ctx); err != nil {
		return nil, err
	}
	if err := p.startDatabase(ctx, s, home); err != nil {
		return nil, err
	}

	s.heading("Set up the vendor's repository of deployments")
	dir := filepath.Join(home, "deployments-"+p.uid)
	if p.local {
		dir = filepath.Join(home, localRepository)
		if err := dropStateOfOtherCluster(dir, p.identity()); err != nil {
			return nil, err
		}
	}
	d, err := newDeployments(ctx, s, *p, mirror, dir)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(d.useDatabase(p), holdMigrationsBack(ctx, d, p)); err != nil {
		return nil, err
	}
	s.say("It is a copy of clients.tf and clients/ of this checkout, in\n  %s", d.dir)
	return d, d.init(ctx)
}

// homeDir is where all that the demo makes on this machine is, but for the cluster.
func homeDir() (string, error) {
	cache, err := cluster.CacheDir()
	return filepath.Join(cache, "demo", clusterName), err
}

// localRepository is the directory of the repository that deploys to the local cluster.
const localRepository = "deployments"

// dropStateOfOtherCluster empties dir if it describes a local cluster, or its database server, that is gone.
func dropStateOfOtherCluster(dir, identity string) error {
	marker := filepath.Join(dir, "cluster-uid")
	known, err := os.ReadFile(marker)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if string(known) == identity {
		return nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(marker, []byte(identity), 0o644)
}

// startLocalCluster brings the cluster up, with a kubeconfig context for each client's cluster, and gives it the images
// of the sample service, which it cannot pull from anywhere.
func startLocalCluster(ctx context.Context, s *screen, home string) error {
	goRun := func(args ...string) error {
		return s.must(ctx, command{program: "go", args: append([]string{"run"}, args...)})
	}
	err := goRun("./test/cluster/cmd/cluster", "up", "--name", clusterName,
		"--context", clientA.workspace(), "--context", clientB.workspace())
	if err != nil {
		return err
	}
	archive := filepath.Join(home, "images.tar")
	if err := goRun("./test/image/cmd/image", "data-collection", "--version", oldVersion, "--version", newVersion,
		"--version", badVersion+":"+badFault, "--out", archive); err != nil {
		return err
	}
	prometheus := filepath.Join(home, "prometheus.tar")
	if err := goRun("./test/image/cmd/image", "prometheus", "--out", prometheus); err != nil {
		return err
	}
	istiod := filepath.Join(home, "istiod.tar")
	program, err := s.run(ctx, command{program: "go", args: []string{"run", "./test/cluster/cmd/build", "istio"}, show: onlyIfFailed})
	if err != nil {
		return err
	}
	if program.exitCode != 0 {
		return fmt.Errorf("building istiod: exit code %d", program.exitCode)
	}
	if err := goRun("./test/image/cmd/image", "istiod", "--program", filepath.Join(lastLine(program.output), "pilot-discovery"), "--out",
		istiod); err != nil {
		return err
	}
	if err := goRun("./test/cluster/cmd/cluster", "load", "--name", clusterName, archive, prometheus, istiod); err != nil {
		return err
	}
	return errors.Join(startPrometheus(ctx, s), startIstio(ctx, s))
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndex(text, "\n")+1:]
}

// startIstio starts what routes the calls of clients.
func startIstio(ctx context.Context, s *screen) error {
	local, err := cluster.Open(clusterName)
	if err != nil {
		return err
	}
	return s.must(ctx, command{program: "test/istio/install.sh", show: onlyIfFailed, env: append(os.Environ(),
		"KUBECONFIG="+local.Kubeconfig(), "PATH="+strings.Join(local.Programs(), ":")+":"+os.Getenv("PATH"))})
}

// startPrometheus starts what the services are watched by.
func startPrometheus(ctx context.Context, s *screen) error {
	local, err := cluster.Open(clusterName)
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"apply", "--filename", "test/prometheus/prometheus.yaml"},
		{"rollout", "status", "deployment/prometheus", "--namespace", "monitoring", "--timeout", "2m"},
	} {
		kubectl := command{
			program: filepath.Join(local.Programs()[0], "kubectl"), args: args,
			env: append(os.Environ(), "KUBECONFIG="+local.Kubeconfig()), show: onlyIfFailed,
		}
		if err := s.must(ctx, kubectl); err != nil {
			return err
		}
	}
	return nil
}

// planFile is where the reviewed plan is kept until it is applied, in the repository.
const planFile = "client-a.tfplan"

// upgradeClientA is a change to client A alone: edited, reviewed as a plan, and applied as it was reviewed.
func upgradeClientA(ctx context.Context, s *screen, d *deployments) error {
	s.heading("A pull request: client A gets %s, more pods and another setting", newVersion)
	err := errors.Join(
		d.edit(clientA.varFile(), oldVersion, newVersion),
		d.edit("clients/client-a/values.yaml", "maxReplicas: 50", "minReplicas: 4\n  maxReplicas: 50\n\nconfig:\n  MAX_RECORD_BYTES: \"262144\""),
	)
	if err != nil {
		return err
	}
	if err := s.must(ctx, command{program: "git", args: []string{"--no-pager", "diff"}, dir: d.dir}); err != nil {
		return err
	}

	s.heading("What its reviewer sees")
	if err := d.workspace(ctx, clientA.workspace()); err != nil {
		return err
	}
	changes, err := d.plan(ctx, clientA, planFile)
	if err != nil {
		return err
	}
	if !changes {
		return errors.New("the plan for the new version has no changes")
	}

	s.heading("Apply exactly that, for client A alone")
	return s.must(ctx, d.terraform("apply", planFile))
}

// mixUpClients uses the var-file of client B in the workspace of client A, which must not get as far as a plan.
func mixUpClients(ctx context.Context, s *screen, d *deployments) error {
	s.heading("A mistake: the var-file of client B in the workspace of client A")
	if err := d.workspace(ctx, clientA.workspace()); err != nil {
		return err
	}
	o, err := s.run(ctx, d.terraform(append([]string{"plan"}, d.varArgs(clientB)...)...))
	if err != nil {
		return err
	}
	if o.exitCode != 1 || !strings.Contains(o.output, clientA.workspace()) {
		return fmt.Errorf("the plan was not refused because of the workspace (exit code %d)", o.exitCode)
	}
	s.say("%s The plan was refused, as it should be.", s.style("32", "✓"))
	return nil
}
