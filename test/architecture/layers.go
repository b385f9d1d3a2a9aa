// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package architecture holds the layers of the provider's packages. The table in this file is the only place that says which package
// may import which: the package's test compares it with what `go list` reports, and the linter's rules are generated from it.
package architecture

// layers lists the packages below internal/, from the lowest layer to the highest. A package may import packages of lower layers. It
// never imports a sibling, which is another package of its own layer.
var layers = [][]string{
	{"explain", "postgres", "regularfile"},
	{"object", "values", "cluster", "migration/sqlfile"},
	{"chart", "analysis", "task", "redact", "migration/lint", "migration/runner", "release/autoscale", "release/purity", "release/reach",
		"release/threeway"},
	{"environment", "fleet", "migration/lint/corpus"},
	{"record", "gitops", "release/ownership"},
	{"operation", "release/render"},
	{"environment/namespace", "database", "migration/job", "release/helmstore", "release/rollout", "traffic/pods", "traffic/route",
		"traffic/traffictest"},
	{"release/drift", "release/dryrun", "release/helmkube"},
	{"verify"},
	{"release", "traffic/canary", "traffic/bluegreen"},
	{"provider"},
}
