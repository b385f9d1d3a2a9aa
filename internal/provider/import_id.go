// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// importForm is the form of the import ids of a resource that lives in an environment.
type importForm struct {
	// noun is that of diagnostics, last what the last part of the id is, example an example of it.
	noun, last, example string
	// valid reports whether the last part can be a name; nil accepts all that are not empty.
	valid func(name string) bool
}

// parse reads "<context>/<namespace>/<name>" from the right, because a context may contain slashes: those of EKS are ARNs.
func (f importForm) parse(id string) (subject, diag.Diagnostics) {
	rest, name, ok := cutLast(id)
	contextName, namespace, ok2 := cutLast(rest)
	if !ok || !ok2 || contextName == "" || namespace == "" || name == "" || f.valid != nil && !f.valid(name) {
		return subject{}, diag.Diagnostics{diag.NewErrorDiagnostic("Cannot import "+f.noun+" "+id, fmt.Sprintf(
			"The import id %q is not of the form <context>/<namespace>/<%s>, for example client-a-prod/data-collection-client-a/%s.",
			id, f.last, f.example))}
	}
	at := environment.Handle{Cluster: cluster.Coordinate{Context: contextName}, Namespace: namespace}
	return subject{noun: f.noun, name: name, handle: at, base: path.Root("environment")}, nil
}

// openToImport opens the place of an import. Client and stage come from the namespace's labels, or from the environment that the same
// plan adopts it for. The UID is that of the cluster.
func openToImport(ctx context.Context, data *Data, s subject) (p *place, uid string, diags diag.Diagnostics) {
	live, err := data.Connections.Cluster(ctx, s.handle.Cluster)
	if err == nil {
		var found environment.Handle
		if found, err = data.ownerForImport(ctx, live, s.handle); err == nil {
			s.handle = found
			diags.Append(guardPlanAt(s.base, data, s.handle)...)
			uid, err = live.UID(ctx)
		}
	}
	if err != nil {
		diags.Append(pathless(s.failed("import", err)))
	}
	if diags.HasError() {
		return nil, "", diags
	}
	return &place{data: data, subject: s, live: live, say: progress(ctx, s.handle, s.what())}, uid, diags
}

// cutLast cuts at the last slash.
func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}
