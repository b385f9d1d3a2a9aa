// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"

	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
)

// Readiness says whether a failed revision could be rolled back.
type Readiness struct {
	Ready bool
	// Revision and Version are those that would be restored; 0 and empty where there is none.
	Revision int
	Version  string
	// Why is a sentence; empty where it is ready.
	Why string
}

// RollbackReady says what an automatic rollback would restore if the next revision failed, and what prevents it. It costs two
// requests: the revision, and the annotations of irreversible migrations. Whether other releases have taken over objects meanwhile is
// asked only by the rollback itself. Errors say that it cannot be seen.
func RollbackReady(ctx context.Context, target Target, seen *Observation) (Readiness, error) {
	all := seen.KnownGood()
	if len(all) == 0 {
		return Readiness{Why: "There is no revision that is known to work."}, nil
	}
	good := all[0]
	out := Readiness{Revision: good.Revision, Version: good.Version}
	client, err := target.Cluster.Kubernetes()
	if err != nil {
		return out, err
	}
	c := candidate{target: target, good: good, releases: storage.Init(driver.NewSecrets(client.CoreV1().Secrets(target.Handle.Namespace)))}
	err = c.check(ctx, false)
	var refused *RollbackError
	switch {
	case errors.As(err, &refused):
		out.Why = refused.Reason
	case err != nil:
		return out, err
	default:
		out.Ready = true
	}
	return out, nil
}
