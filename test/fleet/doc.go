// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package fleet has the tests that compare what Slipway generates for a fleet with what Helm, Argo CD's CRD and Prometheus make of it.
package fleet
