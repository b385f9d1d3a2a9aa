// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

// Outcome is what is there after Apply, also with an error.
type Outcome struct {
	InstanceID   string
	ClusterUID   string
	NamespaceUID string
	Revision     int
	Status       string
	// Changed is false where the cluster already had exactly this content and no revision was made.
	Changed bool
	// Recovered says in words what was found half done and finished or repaired; empty in the usual case.
	Recovered []string
	// Unchecked says why a version was accepted although not all of its checks could be made; empty in the usual case.
	Unchecked string
	// Unserved are sentences about Services that have no ready endpoint; empty in the usual case.
	Unserved []string
	// Rendering is what was installed, or was to be.
	Rendering *render.Result
	// Kind is "install", "upgrade" or "rollback" (an earlier known-good version was deployed again); empty where nothing was done.
	Kind string
	// Resumed says that no revision was made, and the verification of the one that is there was finished.
	Resumed bool
	// Restored is what an automatic rollback restored; nil without one, and where it did not come to its end. Revision and Status
	// are those of the restored revision then. The content that is live is what the state held before if its digest is the same.
	Restored *Restoration
}

// Restoration is a rollback that ended with the known-good content ready.
type Restoration struct {
	// Revision is the new one that Helm made; From the known-good one whose content it has.
	Revision, From int
	// Version, Digest and Chart are those of the known-good revision.
	Version, Digest string
	Chart           record.Chart
	// Detected is when it was clear that the other version is bad, Ready when all pods of the restored one were.
	Detected, Ready time.Time
	// Validated says that the checks passed on the restored revision; Validation says it in words.
	Validated  bool
	Validation string
}
