// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

// recordSchemaVersion is the newest schema of Record that this code writes.
const recordSchemaVersion = 1
