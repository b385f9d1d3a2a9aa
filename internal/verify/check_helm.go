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

// helmTests runs the tests of the revision under judgment, in Helm's order (weight, then name) and with Helm's deletion policies,
// but not by Helm's ReleaseTesting. That action tests whatever revision is the newest; writes when each test ran into the stored
// release, before and after each one, so that the release is not what it was when its digest was taken; and while a filter is set
// it stores the release without the hooks that the filter leaves out: a process that dies in a test loses them for good, those of
// a later rollback included. Here the stored release is only read.
func (r *checkRun) helmTests() error {
	tests, err := chosenTests(r.env.Release, r.check.HelmTest.Filter)
	if err != nil {
		return r.notMade(err.Error())
	}
	for i, test := range tests {
		if err := r.helmTest(test); err != nil {
			// As Helm does, what is to go after a success goes for those that had one, too.
			return errors.Join(err, r.dropTests(tests[:i], helmrelease.HookSucceeded))
		}
	}
	return r.dropTests(tests, helmrelease.HookSucceeded)
}

// chosenTests are the tests of a release that a filter names, in the order in which they run.
func chosenTests(stored *helmrelease.Release, filter []string) ([]*helmrelease.Hook, error) {
	var tests []*helmrelease.Hook
	var names []string
	for _, h := range stored.Hooks {
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

func (r *checkRun) helmTest(test *helmrelease.Hook) error {
	r.env.Op.Doing(fmt.Sprintf("running the chart's test %s", test.Name))
	objects, err := r.kube.Build(strings.NewReader(test.Manifest), false)
	if err != nil {
		return r.explainPods("the test "+test.Name, err, nil)
	}
	if err := r.clearTest(test, objects); err != nil {
		return r.explainPods("removing an earlier test "+test.Name, err, nil)
	}
	if _, err := r.kube.Create(objects); err != nil {
		return r.explainPods("the test "+test.Name, err, nil)
	}
	if err := r.waiter.Hooks(r.ctx, objects); err != nil {
		return errors.Join(r.explainPods("the test "+test.Name, err, objects), r.dropTests([]*helmrelease.Hook{test}, helmrelease.HookFailed))
	}
	return nil
}

// clearTest removes what an earlier run left under the names of a test, whatever its deletion policy: it would be in the way. An object
// that no test made stays, and is named.
func (r *checkRun) clearTest(test *helmrelease.Hook, objects kube.ResourceList) error {
	var old kube.ResourceList
	for _, info := range objects {
		live, err := resource.NewHelper(info.Client, info.Mapping).Get(info.Namespace, info.Name)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return &helmkube.RefusedError{Object: r.kube.KeyOf(info), Verb: "read", Hook: true, Cause: err}
		}
		accessor, err := meta.Accessor(live)
		if err != nil {
			return fmt.Errorf("reading %s: %w", r.kube.KeyOf(info).Short(), err)
		}
		if !strings.Contains(accessor.GetAnnotations()[helmrelease.HookAnnotation], "test") {
			return r.notMade(fmt.Sprintf("%s exists and was not made by a test: the test %s would overwrite it", r.kube.KeyOf(info).Short(),
				test.Name))
		}
		old.Append(info)
	}
	if len(old) == 0 {
		return nil
	}
	if _, errs := r.kube.Delete(old); len(errs) > 0 {
		return errors.Join(errs...)
	}
	return r.waiter.Gone(r.ctx, old)
}

// dropTests deletes what tests made whose policy says so. Their end is not waited for: the next run does where it must.
func (r *checkRun) dropTests(tests []*helmrelease.Hook, policy helmrelease.HookDeletePolicy) error {
	var doomed []*helmrelease.Hook
	for _, test := range tests {
		if slices.Contains(test.DeletePolicies, policy) && test.Kind != "CustomResourceDefinition" {
			doomed = append(doomed, test)
		}
	}
	if len(doomed) == 0 || r.caller.Err() != nil {
		return nil
	}
	ctx, stop := r.env.Op.Afterward(0)
	defer stop()
	clean, err := r.client(ctx, operation.WhileHeld)
	if err != nil {
		return err
	}
	for _, test := range doomed {
		objects, err := clean.Build(strings.NewReader(test.Manifest), false)
		if err != nil {
			return fmt.Errorf("removing the test %s: %w", test.Name, err)
		}
		if _, errs := clean.Delete(objects); len(errs) > 0 {
			r.env.Op.Paced("drop "+test.Name, "the test "+test.Name+" could not be removed, the next run does: "+
				r.env.Secrets.Text(errors.Join(errs...).Error()))
		}
	}
	return nil
}
