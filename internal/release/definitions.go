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

// definitions creates and replaces the chart's CustomResourceDefinitions.
type definitions struct{ run *applyRun }

// write makes the chart's CRDs that the cluster does not have, and replaces the others where the spec says so. It returns when
// the API server serves what was written.
func (w definitions) write() error {
	if !w.run.spec.CreateCRDs && !w.run.spec.ReplaceCRDs {
		return nil
	}
	chart, err := w.run.spec.Chart.Load()
	if err != nil {
		return fmt.Errorf("loading chart %s: %w", w.run.spec.Chart.Name, err)
	}
	definitions, err := w.run.spec.Definitions()
	if err != nil {
		return err
	}
	var written kube.ResourceList
	for _, crd := range chart.CRDObjects() {
		list, err := w.run.session.kube.Build(bytes.NewReader(crd.File.Data), false)
		if err != nil {
			return fmt.Errorf("reading the CRDs of %s: %w", crd.Filename, err)
		}
		for _, info := range list {
			wrote, err := w.create(info)
			i := slices.IndexFunc(definitions, func(d render.Definition) bool { return d.Name == info.Name })
			if err == nil && !wrote && w.run.spec.ReplaceCRDs && i >= 0 {
				wrote, err = w.replace(info, definitions[i])
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
	if err := w.run.session.waiter.Ready(w.run.op.Context(), written); err != nil {
		return w.run.session.kube.Fail(err)
	}
	if err := w.waitServed(written, definitions); err != nil {
		return w.run.session.kube.Fail(err)
	}
	w.run.target.Cluster.Invalidate()
	capabilities, err := w.run.target.Cluster.Capabilities(w.run.op.Context())
	if err != nil {
		return err
	}
	w.run.session.helm.Capabilities = render.HelmCapabilities(&capabilities)
	return nil
}

func (w definitions) create(info *resource.Info) (bool, error) {
	if err := w.run.op.Ended(); err != nil {
		return false, w.run.session.kube.Fail(err)
	}
	w.run.op.Doing("creating CustomResourceDefinition " + info.Name)
	_, err := resource.NewHelper(info.Client, info.Mapping).Get(info.Namespace, info.Name)
	if err == nil {
		return false, nil
	}
	if !apierrors.IsNotFound(err) {
		return false, w.run.session.kube.Fail(&helmkube.RefusedError{Object: w.run.session.kube.KeyOf(info), Verb: "read", Cause: err})
	}
	_, err = w.run.session.kube.CreateDefinition(info)
	switch {
	case err != nil && strings.Contains(err.Error(), "already exists"):
		return false, nil // Another release made it at the same moment.
	case err != nil:
		return false, w.run.session.kube.Fail(&helmkube.RefusedError{Object: w.run.session.kube.KeyOf(info), Verb: "create", Cause: err})
	}
	w.run.made = append(w.run.made, info.Name)
	return true, nil
}

// replace replaces a definition that exists, unless it is the same already. Other clients' releases may write it at the same
// moment.
func (w definitions) replace(info *resource.Info, d render.Definition) (bool, error) {
	w.run.op.Doing("replacing CustomResourceDefinition " + d.Name)
	writer, err := w.run.op.Dynamic(operation.WhileItRuns)
	if err != nil {
		return false, fmt.Errorf("making a client for CustomResourceDefinitions: %w", err)
	}
	at := writer.Resource(info.Mapping.Resource)
	wrote := false
	err = retry.OnError(retry.DefaultBackoff, func(err error) bool { return apierrors.IsConflict(err) && w.run.op.Ended() == nil },
		func() error {
			live, err := at.Get(w.run.op.Context(), d.Name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if problem := render.WhyNotReplaced(d, live); problem != "" {
				return errors.New(problem)
			}
			next := render.Replacement(d, live, render.WriterOf(w.run.target, w.run.spec))
			updated, err := at.Update(w.run.op.Context(), next,
				metav1.UpdateOptions{FieldManager: environment.FieldManager, DryRun: []string{metav1.DryRunAll}})
			if err != nil || updated.GetGeneration() == live.GetGeneration() {
				return err
			}
			_, err = at.Update(w.run.op.Context(), next, metav1.UpdateOptions{FieldManager: environment.FieldManager})
			wrote = err == nil
			return err
		})
	if err != nil {
		return false, w.run.session.kube.Fail(&helmkube.RefusedError{Object: w.run.session.kube.KeyOf(info), Verb: "replace", Cause: err})
	}
	return wrote, nil
}

// waitServed waits until discovery lists every served version of what was written: the API server needs a moment after it has
// established a definition.
func (w definitions) waitServed(written kube.ResourceList, definitions []render.Definition) error {
	for _, d := range definitions {
		if !slices.ContainsFunc(written, func(info *resource.Info) bool { return info.Name == d.Name }) {
			continue
		}
		plural, group, _ := strings.Cut(d.Name, ".")
		for _, v := range render.VersionsOf(d.Object) {
			for v.Served {
				if err := w.run.op.Ended(); err != nil {
					return err
				}
				served, err := w.serves(group+"/"+v.Name, plural)
				if err != nil {
					return err
				}
				if served {
					break
				}
				w.run.op.Doing(fmt.Sprintf("waiting for the API server to serve %s in %s", plural, group+"/"+v.Name))
				rollout.Pause(w.run.op.Context(), rollout.PollEvery/4)
			}
		}
	}
	return nil
}

func (w definitions) serves(groupVersion, plural string) (bool, error) {
	list, err := w.run.op.Reads.Discovery().ServerResourcesForGroupVersion(groupVersion)
	switch {
	case apierrors.IsNotFound(err), cluster.IsTransient(err):
		return false, nil
	case err != nil:
		return false, w.run.target.Cluster.Classify(err)
	}
	return slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == plural }), nil
}
