// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"fmt"

	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
)

// checkEnvironment is what smoke tests, the acceptance gate and the bake work with. See operation.checks.
type checkEnvironment struct {
	target Target
	// lease is what mutations need beside a context that has not ended.
	lease    *cluster.Lease
	graces   graces
	secrets  *scrubber
	progress *reporter
	// release is the revision that is judged, as Helm's storage has it: its tests, the selectors of its workloads.
	release *helmrelease.Release
	// version of the application, empty where it is not known.
	version string
}

// checks makes the environment in which revision release is judged.
func (o *operation) checks(release *helmrelease.Release, version string) checkEnvironment {
	return checkEnvironment{
		target: o.target, lease: o.lease, graces: o.graces, secrets: o.secrets, progress: o.progress,
		release: release, version: version,
	}
}

// runCheck makes one smoke test, or asks the acceptance gate. Nil means that it passed. The error is a *CheckFailure where it did
// not, or could not be made (Refused is false then), also when the check's own timeout has passed. When ctx has ended or the
// Lease is lost, the error is the cause, and nothing follows for the version. What the check made in the cluster is gone when
// runCheck returns, as far as the cluster can be reached: a later run removes what is left.
func runCheck(_ context.Context, _ checkEnvironment, stage string, check Check) error {
	return fmt.Errorf("%s %s: not made", stage, check.Name)
}
