// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package dryrun

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

// CheckNamespaces refuses objects that name the namespace of another client or stage. Namespaces that are nobody's are allowed: charts
// put monitoring objects there. So are those that may not be read, in which the cluster's own rights decide. Errors: *ownership.Error.
func CheckNamespaces(ctx context.Context, target ownership.Release, r *render.Result) error {
	seen := map[string]bool{"": true, target.Handle.Namespace: true}
	for _, key := range slices.Sorted(maps.Keys(r.ByKey)) {
		_, namespace := object.NameOf(r.ByKey[key].Object)
		if seen[namespace] {
			continue
		}
		seen[namespace] = true
		client, stage, err := environment.Owner(ctx, target.Cluster, namespace)
		switch {
		case cluster.LacksRight(err):
			continue
		case err != nil:
			return err
		case client == "" && stage == "", client == target.Handle.Client && stage == target.Handle.Stage:
			continue
		}
		return &ownership.Error{
			Release: target.Name, Namespace: target.Handle.Namespace,
			Reason: fmt.Sprintf("Object %s is in namespace %s, which belongs to client %q, stage %q. Nothing was changed.", key, namespace, client,
				stage),
			Advice: fmt.Sprintf("Correct the value or the template that sets its namespace. What %s needs is deployed by the workspace %s.",
				client, environment.Handle{Client: client, Stage: stage}.Workspace()),
		}
	}
	return nil
}
