// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"os"
	"slices"
)

// takeDown ends the local cluster with all that is in it. On a cluster of the user's it destroys both deployments.
func takeDown(ctx context.Context) error {
	s := newScreen()
	p, err := choosePlace()
	if err != nil {
		return err
	}
	home, err := homeDir()
	if err != nil {
		return err
	}
	if p.local {
		s.heading("Take the local Kubernetes down")
		down := command{program: "go", args: []string{"run", "./test/cluster/cmd/cluster", "down", "--name", clusterName, "--purge"}}
		if err := s.must(ctx, down); err != nil {
			return err
		}
		if err := stopDatabase(ctx, home); err != nil {
			return err
		}
		// Without its cluster the state is of no use.
		return os.RemoveAll(home)
	}

	d, err := prepare(ctx, s, &p)
	if err != nil {
		return err
	}
	for _, c := range []client{clientA, clientB} {
		if !d.workspaceExists(c.workspace()) {
			continue
		}
		s.heading("Destroy the deployment of %s, whose environment is protected until that is changed", c.name)
		if err := d.workspace(ctx, c.workspace()); err != nil {
			return err
		}
		d.extra = append(append(p.variables(), p.databaseArgs()...), "-var", "deletion_protection=false")
		if err := d.apply(ctx, c); err != nil {
			return err
		}
		destroy := d.terraform(slices.Concat([]string{"destroy"}, d.varArgs(c), []string{"-auto-approve"})...)
		destroy.show = withoutPlan
		if err := s.must(ctx, destroy); err != nil {
			return err
		}
	}
	return os.RemoveAll(d.dir)
}
