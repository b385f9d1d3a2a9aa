// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/dryrun"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

// takeovers are the running objects that a plan takes over.
type takeovers struct {
	objects []dryrun.Takeover
	// release is the Helm release of another program that is taken over with its objects; empty where there is none.
	release string
	// unseen says that they may be others in the apply, so that the summary cannot name them.
	unseen bool
}

// taking is what the configuration allows to take over; known is false while a part of it is not known yet.
func (m releaseModel) taking(ctx context.Context) (taking ownership.Taking, known bool, diags diag.Diagnostics) {
	if m.TakeOwnership.IsUnknown() || !wholly(m.TakeOwnershipFrom) {
		return taking, false, nil
	}
	taking.Allowed = m.TakeOwnership.ValueBool()
	if !m.TakeOwnershipFrom.IsNull() {
		diags = m.TakeOwnershipFrom.ElementsAs(ctx, &taking.From, false)
	}
	return taking, true, diags
}

// findTakeovers looks for what runs already and is taken over. It enters the summary, so that the apply must find the same.
func (c *change) findTakeovers(
	ctx context.Context, resp *resource.ModifyPlanResponse, target release.Target, previous map[object.Key]string, next *render.Result,
	unreachable error,
) {
	if c.state != nil && !c.taking.Allowed {
		return // Only new objects of an update that may take over are looked for.
	}
	if unreachable != nil {
		c.takes.unseen = c.takes.unseen || c.taking.Allowed
		return
	}
	if c.state == nil {
		if c.seen = observeForCreate(ctx, resp, target, c.taking); c.seen == nil {
			return
		}
		if c.seen.Revision != 0 && !c.seen.Foreign {
			return // What an earlier apply left is the release's own.
		}
		if c.seen.Foreign {
			c.takes.release = fmt.Sprintf("Helm release %s, revision %d", target.Name, c.seen.Revision)
		}
	}
	found, err := dryrun.Running(ctx, target, next, c.taking)
	if err != nil {
		c.takes.unseen = c.takes.unseen || c.taking.Allowed
		return
	}
	c.takes.objects = slices.DeleteFunc(found, func(t dryrun.Takeover) bool {
		_, there := previous[t.Object]
		return there
	})
}

// lines say what is taken over: "takes over 2 running objects: ConfigMap/web (kubectl), Deployment/web (kubectl)".
func (t takeovers) lines() []string {
	if len(t.objects) == 0 {
		if t.release == "" {
			return nil
		}
		return []string{"takes over " + t.release}
	}
	names := make([]string, 0, len(t.objects))
	for _, taken := range t.objects {
		names = append(names, fmt.Sprintf("%s (%s)", taken.Object.Short(), taken.Owner))
	}
	line := fmt.Sprintf("takes over %d running objects: %s", len(names), strings.Join(names, ", "))
	if len(names) == 1 {
		line = "takes over 1 running object: " + names[0]
	}
	if t.release != "" {
		return []string{"takes over " + t.release, line}
	}
	return []string{line}
}

// warnOfTakeover shows what changes for each object that is taken over, and who would change it again.
func (c change) warnOfTakeover(resp *resource.ModifyPlanResponse, target release.Target, found []dryrun.Takeover) {
	if len(found) == 0 || c.state == nil && c.seen != nil && c.seen.Revision != 0 && !c.seen.Foreign {
		return
	}
	var lines, deployed, releases []string
	deployers, others := map[ownership.Owner]bool{}, map[string]bool{}
	for _, taken := range found {
		lines = append(lines, takeoverText(taken))
		if d := taken.Deployer; d.Kind != "" && !deployers[d] {
			deployers[d] = true
			deployed = append(deployed, deployerText(d))
		}
		if o := taken.Owner; o.Kind == ownership.OwnerOtherRelease && !others[o.Name] {
			others[o.Name] = true
			releases = append(
				releases,
				fmt.Sprintf("Helm release %s still lists what is taken from it, and `helm uninstall` would delete it. After the "+
					"apply, remove its records: kubectl -n %s delete secret -l owner=helm,name=%s", o.Name, o.Namespace, o.Name),
			)
		}
	}
	resp.Diagnostics.AddWarning(
		fmt.Sprintf("Release %s takes over what runs in %s", target.Name, target.Handle.Name()),
		strings.Join(
			lines,
			"\n",
		)+"\n\nFields that the chart does not set stay. From the apply on, a destroy of the release removes these objects.",
	)
	if len(deployed) > 0 {
		resp.Diagnostics.AddWarning(fmt.Sprintf("Another program deploys objects of release %s", target.Name), strings.Join(deployed, "\n\n"))
	}
	if len(releases) > 0 {
		resp.Diagnostics.AddWarning(fmt.Sprintf("Release %s takes objects from other releases", target.Name), strings.Join(releases, "\n\n"))
	}
}

func takeoverText(taken dryrun.Takeover) string {
	text := fmt.Sprintf("%s (%s): ", taken.Object.Short(), taken.Owner)
	switch {
	case taken.Restarts:
		text += "its pods are replaced by a rolling update"
	case len(taken.Changes) == 0:
		return text + "taken over as it runs"
	default:
		text += "changed"
	}
	changes := make([]string, 0, len(taken.Changes))
	for _, o := range taken.Changes {
		changes = append(changes, fmt.Sprintf("%s %s → %s", o.Path, o.Live, o.Target))
	}
	if len(changes) > 0 {
		text += "; " + strings.Join(sorted(changes), "; ")
	}
	return text
}

// deployerText says what Argo CD or Flux would do to an object that is taken over, and how it is kept from that.
func deployerText(d ownership.Owner) string {
	if d.Kind == ownership.OwnerFlux {
		return fmt.Sprintf("Flux (%s) writes its objects again when they change, and removes them when they leave its repository.\n"+
			"Before the apply, suspend it: flux suspend kustomization %s. To give the objects up, set prune: false in it, and delete it.",
			d.Name, d.Name)
	}
	return fmt.Sprintf(
		"Argo CD's Application %[1]s must neither heal nor prune these objects: it would write them again when they change, and "+
			"remove them when they leave its repository.\n"+
			"Before the apply, turn its automation off: argocd app set %[1]s --sync-policy none. After the apply, delete the Application "+
			"without its objects: argocd app delete %[1]s --cascade=false.",
		d.Name,
	)
}
