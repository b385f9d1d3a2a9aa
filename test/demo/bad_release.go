// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// releaseABadVersion gives client B a version that fails a fifth of its requests, and shows how it is rolled back.
func releaseABadVersion(ctx context.Context, s *screen, d *deployments, p place) (err error) {
	s.heading("A bad release: client B gets %s, which answers every fifth request with an error", badVersion)
	if !p.prometheus {
		s.say("This is left out: the cluster has no Service prometheus in the namespace monitoring, so nobody knows an error rate.")
		return nil
	}
	if err := d.workspace(ctx, clientB.workspace()); err != nil {
		return err
	}
	if err := unblock(ctx, p, clientB); err != nil {
		return err
	}
	untouched, err := generation(ctx, p, clientA)
	if err != nil {
		return err
	}
	s.say("A pod sends 20 requests a second to client B's service, as its users do.")
	users, err := startUsers(ctx, p, clientB, "/version")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, users.stop()) }()
	if err := d.edit(clientB.varFile(), oldVersion, badVersion); err != nil {
		return err
	}
	if err := s.must(ctx, command{program: "git", args: []string{"--no-pager", "diff", clientB.varFile()}, dir: d.dir}); err != nil {
		return err
	}
	apply := d.terraform(slices.Concat([]string{"apply"}, d.varArgs(clientB), []string{"-auto-approve"})...)
	apply.show = withoutPlan
	o, err := s.run(ctx, apply)
	if err != nil {
		return err
	}
	if o.exitCode != 1 || !strings.Contains(o.output, "restored") {
		return fmt.Errorf("the bad release was not rolled back (exit code %d)", o.exitCode)
	}
	s.say("%s The apply failed, as it should, and the last known-good version is back.", s.style("32", "✓"))

	s.heading("What client B's users noticed")
	seen, err := users.report(ctx)
	if err != nil {
		return err
	}
	if err := seen.show(s); err != nil {
		return err
	}
	if err := expectVersions(ctx, s, p, newVersion, oldVersion); err != nil {
		return err
	}
	if now, err := generation(ctx, p, clientA); err != nil || now != untouched {
		return errors.Join(err, fmt.Errorf("the Deployment of client A is of generation %d, it was %d", now, untouched))
	}
	s.say("%s Client A was not touched.", s.style("32", "✓"))

	s.heading("The next plan shows the difference again, and that this version is quarantined")
	changes, err := d.plan(ctx, clientB, "")
	if err != nil {
		return err
	}
	if !changes {
		return errors.New("the plan after the rollback has no changes")
	}

	s.heading("The pull request is reverted: client B stays with %s, and nothing is deployed", oldVersion)
	if err := d.edit(clientB.varFile(), badVersion, oldVersion); err != nil {
		return err
	}
	before, err := generation(ctx, p, clientB)
	if err != nil {
		return err
	}
	if err := d.apply(ctx, clientB); err != nil {
		return err
	}
	if after, err := generation(ctx, p, clientB); err != nil || after != before {
		return errors.Join(err, fmt.Errorf("the Deployment of client B is of generation %d, it was %d", after, before))
	}
	changes, err = d.plan(ctx, clientB, "")
	if err == nil && changes {
		err = errors.New("a plan with the version that was restored has changes")
	}
	return err
}

// unblock ends the quarantine that an earlier demo left on its bad version, or this one would be refused at once.
func unblock(ctx context.Context, p place, c client) error {
	patch := []byte(`{"metadata":{"annotations":{"slipway.dev/quarantine":"cleared"}}}`)
	_, err := p.client.CoreV1().ConfigMaps(c.namespace).Patch(ctx, "slipway-release-"+serviceName, types.MergePatchType, patch,
		metav1.PatchOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// generation rises with each change to what a client's Deployment should be.
func generation(ctx context.Context, p place, c client) (int64, error) {
	deployment, err := p.client.AppsV1().Deployments(c.namespace).Get(ctx, serviceName, metav1.GetOptions{})
	if err != nil {
		return 0, fmt.Errorf("asking for the Deployment of %s: %w", c.name, err)
	}
	return deployment.Generation, nil
}
