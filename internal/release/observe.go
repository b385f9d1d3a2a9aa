// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
)

var secretsResource = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}

// revision is what the metadata of one of Helm's Secrets says.
type revision struct {
	number int
	status helmrelease.Status
	labels map[string]string
	// created is the API server's time.
	created time.Time
}

// byHandle reports that Slipway made the revision, or one before it: Helm passes labels on.
func (r revision) byHandle(h environment.Handle) bool {
	return r.labels[environment.LabelClient] == h.Client && r.labels[environment.LabelStage] == h.Stage
}

// listRevisions reads the revisions of a release, oldest first, without their contents.
func listRevisions(ctx context.Context, target Target) ([]revision, error) {
	client, err := target.Cluster.Metadata()
	if err != nil {
		return nil, err
	}
	list, err := client.Resource(secretsResource).Namespace(target.Handle.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: "owner=helm,name=" + target.Name,
	})
	if err != nil {
		return nil, target.Cluster.Classify(fmt.Errorf("listing the revisions of release %s: %w", target.Name, err))
	}
	var out []revision
	for i := range list.Items {
		item := &list.Items[i]
		number, err := strconv.Atoi(item.Labels["version"])
		if err != nil {
			return nil, fmt.Errorf("the Secret %s of release %s has no revision number in its label \"version\": %w", item.Name, target.Name, err)
		}
		out = append(out, revision{
			number:  number,
			status:  helmrelease.Status(item.Labels["status"]),
			labels:  item.Labels,
			created: item.CreationTimestamp.Time,
		})
	}
	slices.SortFunc(out, func(a, b revision) int { return a.number - b.number })
	return out, nil
}

// newestDeployed returns the newest revision with status deployed, 0 where there is none.
func newestDeployed(revisions []revision) int {
	for _, r := range slices.Backward(revisions) {
		if r.status == helmrelease.StatusDeployed {
			return r.number
		}
	}
	return 0
}

func observe(ctx context.Context, target Target) (*Observation, []revision, *record.Stored[record.Release], error) {
	revisions, err := listRevisions(ctx, target)
	if err != nil {
		return nil, nil, nil, err
	}
	client, err := target.Cluster.Kubernetes()
	if err != nil {
		return nil, nil, nil, err
	}
	found, err := record.Read[record.Release](ctx, client, placeOf(target))
	if err != nil {
		return nil, nil, nil, err
	}
	out := &Observation{Deployed: newestDeployed(revisions), Record: found.Content, Cleared: found.Cleared()}
	if len(revisions) > 0 {
		last := revisions[len(revisions)-1]
		out.Revision, out.Status = last.number, last.status.String()
	}
	return out, revisions, found, nil
}

// ObserveForCreate is Observe for a plan that creates the release. Errors in addition to those of Observe: *ownership.Error where the
// release is not ours and is not taken over, *record.NewerError.
func ObserveForCreate(ctx context.Context, target Target, taking ownership.Taking) (*Observation, error) {
	seen, revisions, found, err := observe(ctx, target)
	if err != nil {
		return nil, err
	}
	if !found.Exists() {
		if err := checkUnrecorded(target, revisions, taking); err != nil {
			return nil, err
		}
		seen.Foreign = len(revisions) > 0 && !revisions[len(revisions)-1].byHandle(target.Handle)
	}
	return seen, nil
}

// checkUnrecorded refuses a release without a record that does not carry our labels either, unless it is taken over. One that carries
// those of another environment never is.
func checkUnrecorded(target Target, revisions []revision, taking ownership.Taking) error {
	if len(revisions) == 0 {
		return nil
	}
	last := revisions[len(revisions)-1]
	if last.status == helmrelease.StatusUninstalled || last.byHandle(target.Handle) || taking.Allowed && environment.Unclaimed(last.labels) {
		return nil
	}
	return &ownership.Error{Release: target.Name, Namespace: target.Handle.Namespace, Revision: last.number, Status: last.status.String(),
		Advice: fmt.Sprintf(
			"Import it (id %s/%s/%s), or set take_ownership = true to take it over, or give this release another name.",
			target.Handle.Cluster.Context, target.Handle.Namespace, target.Name)}
}

// Observation is what Read needs to know of a release, at the cost of two requests: a metadata LIST of Helm's Secrets and a
// GET of the record.
type Observation struct {
	// Revision is the newest one, 0 where there is none; Status its Helm status ("deployed", "failed", "pending-upgrade").
	Revision int
	Status   string
	// Deployed is the newest revision with status deployed, 0 where there is none.
	Deployed int
	// Record is ours, nil where there is none.
	Record *record.Release
	// Cleared says that a user has unblocked the content.
	Cleared bool
	// Proven is the deployed revision of a release without a record, where its objects were found to be ready; see Proven. Only who asks for
	// it sets it.
	Proven *record.KnownGood
	// Foreign says that the newest revision was made by another program and is taken over by the create that is planned.
	Foreign bool
}

// KnownGood are the revisions that are known to work, newest first.
func (o *Observation) KnownGood() []record.KnownGood {
	switch {
	case o.Record != nil:
		return o.Record.KnownGood
	case o.Proven != nil:
		return []record.KnownGood{*o.Proven}
	}
	return nil
}

// Absent reports that neither a revision nor a record is there.
func (o *Observation) Absent() bool { return o.Revision == 0 && o.Record == nil }

// Outside reports that the newest revision was not made by Slipway, or not recorded.
func (o *Observation) Outside() bool {
	if o.Record != nil && o.Record.Phase == record.RollingBack && o.Revision > o.Record.Revision {
		return false // A rollback was begun after the revision that it undoes.
	}
	return o.Revision != 0 && (o.Record == nil || o.Record.Revision != o.Revision)
}

// Working reports that a revision is deployed under a record that says so: a Terraform state has it, or had.
func (o *Observation) Working() bool {
	if o.Deployed == 0 || o.Record == nil {
		return false
	}
	switch o.Record.Phase {
	case record.Deployed, record.Verifying, record.Unverified, record.RolledBack:
		return true
	}
	return false
}

// Verification says in words how sure it is that the newest revision is healthy: "verified" (its verification passed), "unverified since
// <RFC 3339>" (its run was cut off, or was inconclusive; the next apply resumes it), "" (it has no verification, was made outside,
// or failed).
func (o *Observation) Verification() string {
	if o.Record == nil || o.Outside() {
		return ""
	}
	switch o.Record.Phase {
	case record.Verifying, record.Unverified:
		since := o.Record.Started
		if o.Record.Verification != nil {
			since = o.Record.Verification.Since
		}
		return "unverified since " + since.UTC().Format(time.RFC3339)
	case record.Deployed, record.RolledBack:
		if o.Record.PolicyHash != "" {
			return "verified"
		}
	}
	return ""
}

// Observe reads a release. A release that does not exist is no error (see Absent). Errors as from cluster.Classify;
// *record.ForeignError where the record belongs to another client or stage.
func Observe(ctx context.Context, target Target) (*Observation, error) {
	out, _, _, err := observe(ctx, target)
	return out, err
}
