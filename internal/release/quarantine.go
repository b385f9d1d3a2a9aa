// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

const (
	// keyVersion names the way in which ContentKey makes a key. A key of another version is never equal, so that a provider that
	// makes keys in another way blocks nothing by mistake.
	keyVersion = "v1:"
)

// ContentKey names what a quarantine blocks: what the chart renders to, the chart itself, the application's version, and the policy
// by which it is verified. Values that were given as secret do not count, since they may be others in each run: where one of them was
// what made a version fail, RetryToken says that it was repaired. What differs with the revision number, and objects that come
// out differently each time, do not count either.
func ContentKey(spec Spec, rendering *render.Result, policy verify.Policy) string {
	sum := sha256.New()
	chart := ""
	if spec.Chart != nil {
		chart = spec.Chart.Digest
	}
	for _, part := range []string{chart, spec.Version, rendering.Digest, policy.Hash()} {
		sum.Write(fmt.Appendf(nil, "%d:%s\n", len(part), part))
	}
	return keyVersion + hex.EncodeToString(sum.Sum(nil))
}
