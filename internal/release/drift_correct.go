// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/operation"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/autoscale"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/drift"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/threeway"
)

// CorrectOptions steer Correct.
type CorrectOptions struct {
	// InstanceID and ClusterUID are those of the state.
	InstanceID string
	ClusterUID string
	// Rendered and Ignore are as in drift.Options.
	Rendered map[object.Key]string
	Ignore   []object.IgnoreRule
	// Timeout is for the objects to become ready again.
	Timeout time.Duration
	// Progress is as in ApplyOptions.
	Progress func(string)

	graces *rollout.Graces
}

// Correction is what Correct did.
type Correction struct {
	// Revision is the deployed one; a correction makes none, and runs no hook.
	Revision int
	// Corrected was corrected, Left was not (see Difference.Lasting).
	Corrected, Left []drift.Difference
}

// Correct corrects what differs live from the deployed revision as Helm has stored it: only the leaves that differ and that no
// rule ignores are written, objects that are gone are made again, and what was written is waited for until it is ready. Objects
// that belong to another owner now are left alone. It holds the Lease meanwhile. Errors: *CorrectionError (the API server refused
// an object, or the release is not the one any more that was planned), *RolloutError (not ready afterwards), *ownership.Error,
// *CanceledError, *DeadlineError, and those of Apply that look at the place.
func Correct(ctx context.Context, target Target, options CorrectOptions) (*Correction, error) {
	c := &correcting{target: target, options: options, done: &Correction{}}
	err := c.correct(ctx)
	return c.done, err
}

// correcting is one Correct while it runs.
type correcting struct {
	target  Target
	options CorrectOptions
	session *session
	op      *operation.Operation
	done    *Correction
	writer  dynamic.Interface
}

func (c *correcting) correct(ctx context.Context) (err error) {
	c.session, err = begin(ctx, c.target, sessionOptions{
		clusterUID: c.options.ClusterUID, timeout: c.options.Timeout, progress: c.options.Progress, graces: c.options.graces,
	})
	if err != nil {
		return err
	}
	c.op = c.session.op
	defer func() { err = errors.Join(err, c.op.Finish()) }()
	err = c.underLease()
	switch {
	case err == nil:
		return nil
	case c.op.Interrupted():
		return c.session.canceled(err)
	case errors.Is(err, operation.ErrDeadline):
		return &DeadlineError{Release: c.target.Name, Revision: c.done.Revision, Timeout: c.op.Timeout(), During: c.op.Now(),
			Objects: c.session.waiter.Pending}
	}
	return err
}

func (c *correcting) underLease() error {
	seen, _, found, err := observe(c.op.Context(), c.target)
	if err != nil {
		return err
	}
	if err := found.Check(record.Claim{InstanceID: c.options.InstanceID, Create: c.options.ClusterUID == ""}); err != nil {
		return err
	}
	if seen.Deployed == 0 || seen.Deployed != seen.Revision || seen.Status != helmrelease.StatusDeployed.String() {
		return &CorrectionError{Release: c.target.Name, Problem: fmt.Sprintf("Revision %d is %s by now.", seen.Revision, seen.Status)}
	}
	c.done.Revision = seen.Deployed
	capabilities, err := c.target.Cluster.Capabilities(c.op.Context())
	if err != nil {
		return err
	}
	if err := c.session.connect(&capabilities); err != nil {
		return err
	}
	if c.writer, err = c.op.Dynamic(operation.WhileItRuns); err != nil {
		return err
	}
	options := drift.Options{Rendered: c.options.Rendered, Revision: seen.Deployed, Ignore: c.options.Ignore}
	if seen.Record != nil {
		options.SecretPaths = seen.Record.SecretPaths
	}
	c.op.Doing("comparing what is live with revision " + fmt.Sprint(seen.Deployed))
	d, err := drift.New(c.target, options)
	if err == nil {
		// What is written must be what Helm has stored, with its secrets.
		if err = d.ReadStored(c.op.Context()); err == nil {
			err = d.Look(c.op.Context())
		}
	}
	if err != nil {
		return c.target.Cluster.Classify(err)
	}
	c.session.secrets = d.Secrets
	differences := d.Differences()
	for _, difference := range differences.Found {
		if difference.Lasting {
			c.done.Left = append(c.done.Left, difference)
		}
	}
	for _, o := range d.Objects {
		if (o.Whole == "" && len(o.Leaves) == 0) || o.Lasting {
			continue
		}
		if err := c.restore(d, o); err != nil {
			return err
		}
		for _, difference := range differences.Found {
			if difference.Object == o.Key {
				c.done.Corrected = append(c.done.Corrected, difference)
			}
		}
	}
	return c.waitCorrected(d)
}

// restore writes one object.
func (c *correcting) restore(d *drift.Comparison, o *drift.Object) error {
	if err := c.op.Ended(); err != nil {
		return err
	}
	c.op.Doing("putting back " + o.Key.Short())
	var at dynamic.ResourceInterface = c.writer.Resource(o.Mapping.Resource)
	namespace := ""
	if o.Mapping.Scope.Name() == "namespace" {
		namespace = object.IdentityIn(c.target.Handle.Namespace, o.Want).Namespace
		at = c.writer.Resource(o.Mapping.Resource).Namespace(namespace)
	}
	if o.Whole != "" {
		return c.create(o, at, namespace)
	}
	want := d.Wanted(o)
	ignored := func(leaf object.Drift) bool {
		autoscaled := drift.IsReplicas(leaf) && d.Scaled[autoscale.Target{Namespace: namespace, Kind: o.Live.GetKind(), Name: o.Live.GetName()}]
		if autoscaled || d.Ignored(o, leaf) {
			leaf.Keep(want, object.DeepCopy(o.Live.Object))
			return true
		}
		return false
	}
	_, _, restored, err := threeway.Restoring(o.Mapping, want, o.Live.Object)
	if err != nil {
		return fmt.Errorf("comparing %s: %w", o.Key.Short(), err)
	}
	if restored != nil {
		object.Drifts(o.Live.Object, restored, nil, ignored)
	}
	patch, kind, _, err := threeway.Restoring(o.Mapping, want, o.Live.Object)
	if err != nil || patch == nil {
		return err
	}
	_, err = at.Patch(c.op.Context(), o.Live.GetName(), kind, patch, metav1.PatchOptions{FieldManager: environment.FieldManager})
	return c.refusal(o, "write", err)
}

// create creates an object that is gone, after one that is being deleted has gone.
func (c *correcting) create(o *drift.Object, at dynamic.ResourceInterface, namespace string) error {
	want := object.DeepCopy(o.Want)
	if namespace != "" {
		object.SetNamespace(want, namespace)
	}
	c.target.Annotate(want)
	if o.Whole == drift.Deleting {
		infos, err := c.infos(want)
		if err != nil {
			return err
		}
		if err := c.session.waiter.Gone(c.op.Context(), infos); err != nil {
			return err
		}
	}
	_, err := at.Create(c.op.Context(), &unstructured.Unstructured{Object: want}, metav1.CreateOptions{FieldManager: environment.FieldManager})
	return c.refusal(o, "create", err)
}

func (c *correcting) refusal(o *drift.Object, verb string, err error) error {
	switch {
	case err == nil:
		return nil
	case c.op.Ended() != nil:
		return c.op.Ended()
	case cluster.IsOutage(err):
		return c.target.Cluster.Classify(fmt.Errorf("correcting %s: %w", o.Key.Short(), err))
	}
	return &CorrectionError{Release: c.target.Name, Problem: c.session.redact(fmt.Sprintf("The API server refused to %s %s: %s", verb,
		o.Key.Short(), cluster.AnswerText(err)))}
}

// waitCorrected waits for what was written.
func (c *correcting) waitCorrected(d *drift.Comparison) error {
	var infos []*resource.Info
	for _, o := range d.Objects {
		if slices.ContainsFunc(c.done.Corrected, func(x drift.Difference) bool { return x.Object == o.Key }) {
			built, err := c.infos(o.Want)
			if err != nil {
				return err
			}
			infos = append(infos, built...)
		}
	}
	err := c.session.waiter.Ready(c.op.Context(), infos)
	var notReady *rollout.NotReadyError
	if errors.As(err, &notReady) {
		return &RolloutError{Release: c.target.Name, Revision: c.done.Revision, Cause: c.session.redact(notReady.Cause),
			Objects: notReady.Reports}
	}
	return err
}

// infos are objects in the form in which waits take them.
func (c *correcting) infos(o map[string]any) ([]*resource.Info, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("writing a stored object: %w", err)
	}
	list, err := c.session.kube.Match(string(text))
	if err != nil {
		return nil, fmt.Errorf("matching stored objects with what the cluster serves: %w", err)
	}
	return list, nil
}

// CorrectionError says that drift was not corrected. What had been corrected before stays so.
type CorrectionError struct {
	Release string
	// Problem is a sentence or more, without secrets.
	Problem string
}

// Explain says it in three paragraphs.
func (e *CorrectionError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Cannot correct all differences of release %s from what was rendered.", e.Release), e.Problem,
		"No revision was made. Plan again: the plan shows what still differs. What another controller sets all the time belongs into " +
			"drift_ignore."
}

func (e *CorrectionError) Error() string { return explain.Text(e.Explain()) }
