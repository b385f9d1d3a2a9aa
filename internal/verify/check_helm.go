// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/kube"
	helmrelease "helm.sh/helm/v3/pkg/release"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/cli-runtime/pkg/resource"

	"github.com/slipway-dev/terraform-provider-slipway/internal/operation"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/helmkube"
)

// HelmTest runs the chart's test hooks.
type HelmTest struct {
	// Filter runs only tests of these names; empty runs all. A chart without any test fails.
	Filter []string
}

// helmTests runs the tests of the revision under judgment, in Helm's order (weight, then name) and with Helm's deletion policies,
// but not by Helm's ReleaseTesting. That action tests whatever revision is the newest; writes when each test ran into the stored
// release, before and after each one, so that the release is not what it was when its digest was taken; and while a filter is set
// it stores the release without the hooks that the filter leaves out: a process that dies in a test loses them for good, those of
// a later rollback included. Here the stored release is only read.
type helmTests struct{ run *checkRun }

// do returns nil if all tests have passed.
func (t helmTests) do() error {
	tests, err := chosenTests(t.run.env.Release.Hooks, t.run.check.HelmTest.Filter)
	if err != nil {
		return t.run.notMade(err.Error())
	}
	for i, test := range tests {
		if err := t.one(test); err != nil {
			// As Helm does, what is to go after a success goes for those that had one, too.
			return errors.Join(err, t.drop(tests[:i], helmrelease.HookSucceeded))
		}
	}
	return t.drop(tests, helmrelease.HookSucceeded)
}

// ValidateHooks says at plan time which helm_test the rendered hooks of a chart cannot satisfy: *CheckConfigError.
func (g Policy) ValidateHooks(hooks []*helmrelease.Hook) error {
	p := &problems{block: "smoke_test"}
	check := func(c Check) {
		if c.HelmTest == nil {
			return
		}
		if _, err := chosenTests(hooks, c.HelmTest.Filter); err != nil {
			p.add(true, "helm_test", "%s. Add the test to the chart, or use http or job here.", err)
		}
	}
	for i, test := range g.SmokeTests {
		p.index, p.name = i, test.Name
		check(test)
	}
	if g.Acceptance != nil {
		p.block, p.index, p.name = "acceptance", 0, ""
		check(*g.Acceptance)
	}
	if len(p.list) == 0 {
		return nil
	}
	return &CheckConfigError{Problems: p.list}
}

// chosenTests are those of the hooks that are tests and that a filter names, in the order in which they run.
func chosenTests(hooks []*helmrelease.Hook, filter []string) ([]*helmrelease.Hook, error) {
	var tests []*helmrelease.Hook
	var names []string
	for _, h := range hooks {
		if !slices.Contains(h.Events, helmrelease.HookTest) {
			continue
		}
		names = append(names, h.Name)
		if len(filter) == 0 || slices.Contains(filter, h.Name) {
			tests = append(tests, h)
		}
	}
	if len(names) == 0 {
		return nil, errors.New("the chart has no tests (templates with the annotation helm.sh/hook: test)")
	}
	for _, wanted := range filter {
		if !slices.Contains(names, wanted) {
			return nil, fmt.Errorf("the chart has no test %q; it has %s", wanted, strings.Join(names, ", "))
		}
	}
	if !slices.ContainsFunc(tests, func(h *helmrelease.Hook) bool { return h.Kind == "Pod" || h.Kind == "Job" }) {
		return nil, errors.New("none of the chart's tests is a Pod or a Job, so that nothing is tested")
	}
	slices.SortStableFunc(tests, func(a, b *helmrelease.Hook) int {
		return cmp.Or(cmp.Compare(a.Weight, b.Weight), cmp.Compare(a.Name, b.Name))
	})
	return tests, nil
}

func (t helmTests) one(test *helmrelease.Hook) error {
	t.run.env.Op.Doing(fmt.Sprintf("running the chart's test %s", test.Name))
	objects, err := t.run.kube.Build(strings.NewReader(test.Manifest), false)
	if err != nil {
		return t.run.explainPods("the test "+test.Name, err, nil)
	}
	if err := t.clear(test, objects); err != nil {
		return t.run.explainPods("removing an earlier test "+test.Name, err, nil)
	}
	if _, err := t.run.kube.Create(objects); err != nil {
		return t.run.explainPods("the test "+test.Name, err, nil)
	}
	if err := t.run.waiter.Hooks(t.run.ctx, objects); err != nil {
		return errors.Join(t.run.explainPods("the test "+test.Name, err, objects), t.drop([]*helmrelease.Hook{test}, helmrelease.HookFailed))
	}
	return nil
}

// clear removes what an earlier run left under the names of a test, whatever its deletion policy: it would be in the way. An object
// that no test made stays, and is named.
func (t helmTests) clear(test *helmrelease.Hook, objects kube.ResourceList) error {
	var old kube.ResourceList
	for _, info := range objects {
		live, err := resource.NewHelper(info.Client, info.Mapping).Get(info.Namespace, info.Name)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return &helmkube.RefusedError{Object: t.run.kube.KeyOf(info), Verb: "read", Hook: true, Cause: err}
		}
		accessor, err := meta.Accessor(live)
		if err != nil {
			return fmt.Errorf("reading %s: %w", t.run.kube.KeyOf(info).Short(), err)
		}
		if !strings.Contains(accessor.GetAnnotations()[helmrelease.HookAnnotation], "test") {
			return t.run.notMade(fmt.Sprintf("%s exists and was not made by a test: the test %s would overwrite it", t.run.kube.KeyOf(info).Short(),
				test.Name))
		}
		old.Append(info)
	}
	if len(old) == 0 {
		return nil
	}
	if _, errs := t.run.kube.Delete(old); len(errs) > 0 {
		return errors.Join(errs...)
	}
	return t.run.waiter.Gone(t.run.ctx, old)
}

// drop deletes what tests made whose policy says so. Their end is not waited for: the next run does where it must.
func (t helmTests) drop(tests []*helmrelease.Hook, policy helmrelease.HookDeletePolicy) error {
	var doomed []*helmrelease.Hook
	for _, test := range tests {
		if slices.Contains(test.DeletePolicies, policy) && test.Kind != "CustomResourceDefinition" {
			doomed = append(doomed, test)
		}
	}
	if len(doomed) == 0 || t.run.caller.Err() != nil {
		return nil
	}
	ctx, stop := t.run.env.Op.Afterward(0)
	defer stop()
	clean, err := t.run.client(ctx, operation.WhileHeld)
	if err != nil {
		return err
	}
	for _, test := range doomed {
		objects, err := clean.Build(strings.NewReader(test.Manifest), false)
		if err != nil {
			return fmt.Errorf("removing the test %s: %w", test.Name, err)
		}
		if _, errs := clean.Delete(objects); len(errs) > 0 {
			t.run.env.Op.Paced("drop "+test.Name, "the test "+test.Name+" could not be removed, the next run does: "+
				t.run.env.Secrets.Text(errors.Join(errs...).Error()))
		}
	}
	return nil
}
