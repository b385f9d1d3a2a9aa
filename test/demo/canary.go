// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// releaseWithCanaries gives client B a version by a canary that is promoted, and lets another canary be aborted, while users call.
func releaseWithCanaries(ctx context.Context, s *screen, d *deployments, p place) (err error) {
	s.heading("A canary: client B gets %s for a tenth of its calls first", newVersion)
	if !p.istio {
		s.say("This is left out: the cluster has no Service istiod in the namespace istio-system, and without Istio nobody divides calls.")
		return nil
	}
	if err := d.workspace(ctx, clientB.workspace()); err != nil {
		return err
	}
	s.say("First the strategy alone: a route for all calls to the pods that are there.")
	current := fmt.Sprintf("app_version = %q", oldVersion)
	replace := func(text string) error {
		err := d.edit(clientB.varFile(), current, text)
		current = text
		return err
	}
	if err := replace(current + "\nstrategy    = \"canary\""); err != nil {
		return err
	}
	if err := d.apply(ctx, clientB); err != nil {
		return err
	}
	s.say("A pod makes 100 gRPC calls a second to client B's service; istiod configures where they go.")
	users, err := startCallers(ctx, p, clientB)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, users.stop()) }()

	if err := replace(canaryLines(oldVersion, newVersion, 10)); err != nil {
		return err
	}
	if err := s.must(ctx, command{program: "git", args: []string{"--no-pager", "diff", clientB.varFile()}, dir: d.dir}); err != nil {
		return err
	}
	s.heading("What its reviewer sees of the split")
	if err := d.showSplit(ctx); err != nil {
		return err
	}
	if err := d.apply(ctx, clientB); err != nil {
		return err
	}
	if err := users.expect(ctx, s, newVersion, 0.04, 0.18); err != nil {
		return err
	}

	s.heading("The next pull request: all calls for the canary")
	if err := replace(canaryLines(oldVersion, newVersion, 100)); err != nil {
		return err
	}
	if err := d.apply(ctx, clientB); err != nil {
		return err
	}
	if err := users.expect(ctx, s, newVersion, 1, 1); err != nil {
		return err
	}

	s.heading("Promotion in one apply: stable gets %s while it has no calls, they come back, the canary goes", newVersion)
	if err := replace(fmt.Sprintf("app_version = %q\nstrategy    = \"canary\"", newVersion)); err != nil {
		return err
	}
	if err := d.apply(ctx, clientB); err != nil {
		return err
	}
	if err := expectVersions(ctx, s, p, newVersion, newVersion); err != nil {
		return err
	}
	seen, err := users.report(ctx)
	if err != nil {
		return err
	}
	if err := seen.showCalls(s); err != nil {
		return err
	}
	if seen.Failed > 0 {
		return fmt.Errorf("%d calls failed although no bad version was there", seen.Failed)
	}
	if !p.prometheus {
		s.say("A canary that is aborted is left out: the cluster has no Service prometheus in the namespace monitoring, so nobody " +
			"knows an error rate.")
		return nil
	}
	if err := abortCanary(ctx, s, d, users, replace); err != nil {
		return err
	}
	return expectVersions(ctx, s, p, newVersion, newVersion)
}

// abortCanary gives half of the calls to a version that fails a fifth of them.
func abortCanary(ctx context.Context, s *screen, d *deployments, users *users, replace func(string) error) error {
	s.heading("A bad canary: half of the calls for %s, which fails every fifth of them", badVersion)
	if err := replace(canaryLines(newVersion, badVersion, 50)); err != nil {
		return err
	}
	apply := d.terraform(slices.Concat([]string{"apply"}, d.varArgs(clientB), []string{"-auto-approve"})...)
	apply.show = withoutPlan
	o, err := s.run(ctx, apply)
	if err != nil {
		return err
	}
	if o.exitCode != 1 || !strings.Contains(o.output, "error_rate") {
		return fmt.Errorf("the bad canary was not aborted (exit code %d)", o.exitCode)
	}
	s.say("%s The apply failed, as it should, and no call goes to the canary any more:", s.style("32", "✓"))
	if err := users.expect(ctx, s, badVersion, 0, 0); err != nil {
		return err
	}
	s.heading("The pull request is reverted, and the canary's release goes")
	if err := replace(fmt.Sprintf("app_version = %q\nstrategy    = \"canary\"", newVersion)); err != nil {
		return err
	}
	if err := d.apply(ctx, clientB); err != nil {
		return err
	}
	seen, err := users.report(ctx)
	if err != nil {
		return err
	}
	return seen.showCalls(s)
}

// showCalls prints the report of gRPC calls, whose errors carry no version. It is an error when others failed than those that the bad
// version itself refused.
func (r usersReport) showCalls(s *screen) error {
	for _, version := range slices.Sorted(maps.Keys(r.Versions)) {
		s.say("  %s answered %5d calls", version, r.Versions[version].Requests)
	}
	refused := r.Codes["Internal"]
	s.say("  refused by %s: %d; failed otherwise: %d", badVersion, refused, r.Failed-refused)
	if r.Failed > refused || refused > r.Versions[badVersion].Requests {
		return fmt.Errorf("calls failed beyond those that %s failed: %v", badVersion, r.Codes)
	}
	s.say("%s No other call of %d failed.", s.style("32", "✓"), r.Requests)
	return nil
}

// canaryLines are what the var-file says of the versions.
func canaryLines(stable, canary string, weight int) string {
	return fmt.Sprintf(
		"app_version = %q\nstrategy    = \"canary\"\ncanary      = { version = %q, weight = %d, data_plane = \"proxyless\" }",
		stable,
		canary,
		weight,
	)
}

// showSplit plans for client B and shows what becomes of the split; the new release is as long as any.
func (d *deployments) showSplit(ctx context.Context) error {
	plan := d.terraform(append([]string{"plan"}, d.varArgs(clientB)...)...)
	plan.show = splitAlone
	return d.screen.must(ctx, plan)
}

// expect shows how the latest calls were divided. New routes take a moment to reach a client.
func (u *users) expect(ctx context.Context, s *screen, version string, least, most float64) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	const calls = 300
	begin, err := u.report(ctx)
	for err == nil {
		var now usersReport
		now, err = u.report(ctx)
		if of := now.Requests - begin.Requests; err == nil && of >= calls {
			count := now.Versions[version].Requests - begin.Versions[version].Requests
			share := float64(count) / float64(of)
			if share >= least && share <= most {
				s.say("  of the last %d calls %d went to %s", of, count, version)
				return nil
			}
			begin = now
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the calls of %s to %s have another share: %w", u.client.name, version, ctx.Err())
		case <-time.After(300 * time.Millisecond):
		}
	}
	return err
}
