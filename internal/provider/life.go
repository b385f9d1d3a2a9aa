// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// All resources live one life, with the shape of managed.Reconciler in crossplane-runtime. Each part keeps its promise:
//
//   - Read observes, and writes nothing to the cluster. Only the recorded cluster can say that something does not exist;
//     then the resource leaves the state. A cluster that cannot be asked keeps the prior state, with a warning. Any other
//     error is an error.
//   - Create brings about what is planned, or takes over what an interrupted Create of the same resource left. On failure
//     it returns no state: Terraform taints a state that comes with an error, and the next apply would destroy what is there.
//   - Update brings about what is planned. On failure the state says what is in effect, so that the next plan shows what
//     is missing.
//   - Delete removes what carries the instance id of the resource. What carries another id is only forgotten, with a
//     warning. Its errors begin with "Cannot remove" and point at the name of the object.
//
// Create, Update and Delete refuse what belongs to another workspace.

// subject is what a resource manages.
type subject struct {
	// noun and name are those of diagnostics: "release", "data-collection".
	noun, name string
	// handle is the environment that it belongs to, clusterUID the cluster of the state, empty before there is one.
	handle     environment.Handle
	clusterUID string
	// named is the attribute with the name, base the one with the coordinates of the environment.
	named, base path.Path
}

// subjectIn is the subject of a resource that has the environment as an attribute.
func subjectIn(ctx context.Context, env types.Object, noun, attribute string, name, clusterUID types.String) (subject, diag.Diagnostics) {
	handle, _, diags := handleFrom(ctx, env)
	return subject{
		noun: noun, name: name.ValueString(), handle: handle, clusterUID: clusterUID.ValueString(),
		named: path.Root(attribute), base: path.Root("environment"),
	}, diags
}

// what names the subject in a sentence.
func (s subject) what() string {
	if s.name == "" {
		return "the " + s.noun
	}
	return s.noun + " " + s.name
}

// place is an opened environment: its cluster is connected, and the run may act there.
type place struct {
	data    *Data
	subject subject
	live    *cluster.Cluster
	// say passes short sentences on to Terraform's log.
	say func(string)
}

// open opens the place for a Create or an Update. verb is what diagnostics say: "Cannot <verb> release data-collection in client-a/prod".
func open(ctx context.Context, data *Data, verb string, s subject) (*place, diag.Diagnostics) {
	diags := guardPlanAt(s.base, data, s.handle)
	if diags.HasError() {
		return nil, diags
	}
	p, err := connect(ctx, data, s)
	if err != nil {
		diags.Append(s.failed(verb, err))
	}
	return p, diags
}

// openToRemove opens the place for a Delete.
func openToRemove(ctx context.Context, data *Data, s subject) (*place, diag.Diagnostics) {
	diags := guardDestroy(data, s.handle)
	if diags.HasError() {
		return nil, diags
	}
	p, err := connect(ctx, data, s)
	if err != nil {
		diags.Append(s.notRemoved(err)...)
	}
	return p, diags
}

// openToRead opens the place for a Read. It is nil where the prior state stays: the cluster cannot be asked, which is a warning,
// or is another one than the recorded one. The plan reports the latter, since only the configuration knows whether a move is
// allowed.
func openToRead(ctx context.Context, data *Data, s subject) (*place, diag.Diagnostics) {
	p, err := connect(ctx, data, s)
	if err != nil {
		return nil, diag.Diagnostics{staleDiagnostic(s.what(), s.handle, err)}
	}
	err = p.live.RequireUID(ctx, s.clusterUID)
	if _, another := errors.AsType[*cluster.MismatchError](err); another {
		return nil, nil
	}
	if err != nil {
		return nil, diag.Diagnostics{s.notRead(err)}
	}
	return p, nil
}

func connect(ctx context.Context, data *Data, s subject) (*place, error) {
	live, err := data.Connections.Cluster(ctx, s.handle.Cluster)
	if err != nil {
		return nil, err
	}
	return &place{data: data, subject: s, live: live, say: progress(ctx, s.handle, s.what())}, nil
}

// read is the end of a look at the place in a Read. It takes the resource out of the state where the look found nothing, and
// reports whether there is something to write into the state.
func (p *place) read(ctx context.Context, resp *resource.ReadResponse, found bool, err error) bool {
	_, gone := errors.AsType[*environment.NamespaceMissingError](err)
	switch {
	case gone, err == nil && !found:
		resp.State.RemoveResource(ctx)
		return false
	case err != nil:
		resp.Diagnostics.Append(p.subject.notRead(err))
		return false
	}
	return true
}

// check fails where the namespace does not exist, or belongs to another environment.
func (p *place) check(ctx context.Context) error {
	_, err := environment.Check(ctx, p.live, p.data.planned(ctx, p.live, p.subject.handle))
	return err
}

// anotherOwner warns that what is in the cluster carries another instance id. Nothing of it comes into the state.
func (p *place) anotherOwner(where, got, want string) diag.Diagnostic {
	return diag.NewWarningDiagnostic(fmt.Sprintf("The %s in %s has another owner now", p.subject.what(), p.subject.handle.Name()),
		fmt.Sprintf("%s carries the instance id %s, and this resource has %s: another resource or another Terraform state has taken it over.\n\n"+
			"Remove it from the state that should not have it (a removed block with destroy = false, or terraform state rm), or give one "+
			"of the two "+
			"another name. A change of it from here is refused, and a destroy only forgets it.", where, got, want))
}

// record is where the record of the subject is.
func (p *place) record() string { return "Its record in namespace " + p.subject.handle.Namespace }

// removed is the end of a Delete. forgotten says that something else than this resource owns what is there; why explains it.
func (p *place) removed(forgotten bool, why string, err error) diag.Diagnostics {
	switch {
	case err != nil:
		return p.subject.notRemoved(err)
	case forgotten:
		return diag.Diagnostics{diag.NewWarningDiagnostic("The "+p.subject.what()+" was left alone", why+" It was only forgotten here.")}
	}
	return nil
}

// anotherInstance is why something was only forgotten that has a record.
const anotherInstance = "Its record carries another instance id than this resource, so another state manages it now."

// failed is the diagnostic of an operation that failed.
func (s subject) failed(verb string, err error) diag.Diagnostic {
	return diagnostic(s.base, verb, s.what(), s.handle, err)
}

// failedEach has a diagnostic for each error: why something failed and why it could not be rolled back are two things.
func (s subject) failedEach(verb string, err error) (diags diag.Diagnostics) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // the outermost error is meant
		for _, each := range joined.Unwrap() {
			diags.Append(s.failedEach(verb, each)...)
		}
		return diags
	}
	return diag.Diagnostics{s.failed(verb, err)}
}

// notRead is the diagnostic of a Read that failed: a cluster that cannot be asked keeps the prior state, with a warning.
func (s subject) notRead(err error) diag.Diagnostic {
	if cluster.IsTransient(err) {
		return staleDiagnostic(s.what(), s.handle, err)
	}
	return s.failed("read", err)
}

// notRemoved are the diagnostics of a Delete that failed. Where an error is about no attribute, they are at the name of the object.
func (s subject) notRemoved(err error) (diags diag.Diagnostics) {
	for _, d := range s.failedEach("remove", err) {
		if _, ok := d.(diag.DiagnosticWithPath); !ok {
			d = diag.WithPath(s.named, d)
		}
		diags.Append(d)
	}
	return diags
}

// planDestroy is the plan of a destroy: it refuses what belongs to another workspace, with what is in the state.
func planDestroy[M interface {
	subject(ctx context.Context) (subject, diag.Diagnostics)
}](ctx context.Context, data *Data, req resource.ModifyPlanRequest) diag.Diagnostics {
	var state M
	diags := req.State.Get(ctx, &state)
	if diags.HasError() {
		return diags
	}
	s, d := state.subject(ctx)
	diags.Append(d...)
	if !diags.HasError() {
		diags.Append(guardDestroy(data, s.handle)...)
	}
	return diags
}
