// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/kube"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/util/retry"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/operation"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/helmkube"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
)

// makeCRDs makes the chart's CRDs that the cluster does not have, and replaces the others where the spec says so. It returns when
// the API server serves what was written.
func (a *applyRun) makeCRDs() error {
	if !a.spec.CreateCRDs && !a.spec.ReplaceCRDs {
		return nil
	}
	chart, err := a.spec.Chart.Load()
	if err != nil {
		return fmt.Errorf("loading chart %s: %w", a.spec.Chart.Name, err)
	}
	definitions, err := a.spec.Definitions()
	if err != nil {
		return err
	}
	var written kube.ResourceList
	for _, crd := range chart.CRDObjects() {
		list, err := a.session.kube.Build(bytes.NewReader(crd.File.Data), false)
		if err != nil {
			return fmt.Errorf("reading the CRDs of %s: %w", crd.Filename, err)
		}
		for _, info := range list {
			wrote, err := a.makeCRD(info)
			i := slices.IndexFunc(definitions, func(d render.Definition) bool { return d.Name == info.Name })
			if err == nil && !wrote && a.spec.ReplaceCRDs && i >= 0 {
				wrote, err = a.replaceCRD(info, definitions[i])
			}
			if err != nil {
				return err
			}
			if wrote {
				written.Append(info)
			}
		}
	}
	if len(written) == 0 {
		return nil
	}
	if err := a.session.waiter.Ready(a.op.Context(), written); err != nil {
		return a.session.kube.Fail(err)
	}
	if err := a.waitServed(written, definitions); err != nil {
		return a.session.kube.Fail(err)
	}
	a.target.Cluster.Invalidate()
	capabilities, err := a.target.Cluster.Capabilities(a.op.Context())
	if err != nil {
		return err
	}
	a.session.helm.Capabilities = render.HelmCapabilities(&capabilities)
	return nil
}

func (a *applyRun) makeCRD(info *resource.Info) (bool, error) {
	if err := a.op.Ended(); err != nil {
		return false, a.session.kube.Fail(err)
	}
	a.op.Doing("creating CustomResourceDefinition " + info.Name)
	_, err := resource.NewHelper(info.Client, info.Mapping).Get(info.Namespace, info.Name)
	if err == nil {
		return false, nil
	}
	if !apierrors.IsNotFound(err) {
		return false, a.session.kube.Fail(&helmkube.RefusedError{Object: a.session.kube.KeyOf(info), Verb: "read", Cause: err})
	}
	_, err = a.session.kube.CreateDefinition(info)
	switch {
	case err != nil && strings.Contains(err.Error(), "already exists"):
		return false, nil // Another release made it at the same moment.
	case err != nil:
		return false, a.session.kube.Fail(&helmkube.RefusedError{Object: a.session.kube.KeyOf(info), Verb: "create", Cause: err})
	}
	a.made = append(a.made, info.Name)
	return true, nil
}

// replaceCRD replaces a definition that exists, unless it is the same already. Other clients' releases may write it at the same
// moment.
func (a *applyRun) replaceCRD(info *resource.Info, d render.Definition) (bool, error) {
	a.op.Doing("replacing CustomResourceDefinition " + d.Name)
	writer, err := a.op.Dynamic(operation.WhileItRuns)
	if err != nil {
		return false, fmt.Errorf("making a client for CustomResourceDefinitions: %w", err)
	}
	at := writer.Resource(info.Mapping.Resource)
	wrote := false
	err = retry.OnError(retry.DefaultBackoff, func(err error) bool { return apierrors.IsConflict(err) && a.op.Ended() == nil }, func() error {
		live, err := at.Get(a.op.Context(), d.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if problem := render.WhyNotReplaced(d, live); problem != "" {
			return errors.New(problem)
		}
		next := render.Replacement(d, live, render.WriterOf(a.target, a.spec))
		tried, err := at.Update(a.op.Context(), next, metav1.UpdateOptions{FieldManager: environment.FieldManager, DryRun: []string{metav1.DryRunAll}})
		if err != nil || tried.GetGeneration() == live.GetGeneration() {
			return err
		}
		_, err = at.Update(a.op.Context(), next, metav1.UpdateOptions{FieldManager: environment.FieldManager})
		wrote = err == nil
		return err
	})
	if err != nil {
		return false, a.session.kube.Fail(&helmkube.RefusedError{Object: a.session.kube.KeyOf(info), Verb: "replace", Cause: err})
	}
	return wrote, nil
}

// waitServed waits until discovery lists every served version of what was written: the API server needs a moment after it has
// established a definition.
func (a *applyRun) waitServed(written kube.ResourceList, definitions []render.Definition) error {
	for _, d := range definitions {
		if !slices.ContainsFunc(written, func(info *resource.Info) bool { return info.Name == d.Name }) {
			continue
		}
		plural, group, _ := strings.Cut(d.Name, ".")
		for _, v := range render.VersionsOf(d.Object) {
			for v.Served {
				if err := a.op.Ended(); err != nil {
					return err
				}
				served, err := a.serves(group+"/"+v.Name, plural)
				if err != nil {
					return err
				}
				if served {
					break
				}
				a.op.Doing(fmt.Sprintf("waiting for the API server to serve %s in %s", plural, group+"/"+v.Name))
				rollout.Pause(a.op.Context(), rollout.PollEvery/4)
			}
		}
	}
	return nil
}

func (a *applyRun) serves(groupVersion, plural string) (bool, error) {
	list, err := a.op.Reads.Discovery().ServerResourcesForGroupVersion(groupVersion)
	switch {
	case apierrors.IsNotFound(err), cluster.IsTransient(err):
		return false, nil
	case err != nil:
		return false, a.target.Cluster.Classify(err)
	}
	return slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == plural }), nil
}
