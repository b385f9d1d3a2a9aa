// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package ownership

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// OwnerKind is a kind of owner that an object in a cluster has.
type OwnerKind string

// The kinds of owners.
const (
	// OwnerRelease: the release itself, by Helm's labels.
	OwnerRelease OwnerKind = "this release"
	// OwnerOtherRelease: another Helm release.
	OwnerOtherRelease OwnerKind = "another release"
	// OwnerSlipway: another resource of Slipway, such as the environment.
	OwnerSlipway OwnerKind = "Slipway"
	// OwnerController: an object of the cluster, which makes and changes it.
	OwnerController OwnerKind = "controller"
	OwnerArgoCD     OwnerKind = "Argo CD"
	OwnerFlux       OwnerKind = "Flux"
	OwnerKubectl    OwnerKind = "kubectl"
	// OwnerProgram: any other program.
	OwnerProgram OwnerKind = "program"
)

// Owner is who has an object, as its metadata says.
type Owner struct {
	Kind OwnerKind
	// Name is that of the release, the Application, the controller or the program; Namespace that of a release.
	Name, Namespace string
}

// Marks of programs that deploy objects from a repository, and restore or remove them there.
const (
	annotationArgoTracking = "argocd.argoproj.io/tracking-id"
	labelArgoInstance      = "argocd.argoproj.io/instance"
	labelInstance          = "app.kubernetes.io/instance"
	labelFluxKustomization = "kustomize.toolkit.fluxcd.io/name"
	labelFluxRelease       = "helm.toolkit.fluxcd.io/name"
)

// OwnerOf says who has a live object.
func (r Release) OwnerOf(live metav1.Object) Owner {
	labels, annotations := live.GetLabels(), live.GetAnnotations()
	name, namespace := annotations[AnnotationReleaseName], annotations[AnnotationReleaseNamespace]
	managedBy := labels[LabelManagedBy]
	controller := metav1.GetControllerOf(live)
	switch {
	case Owns(annotations, r.Name, r.Handle.Namespace) && managedBy == ManagedByHelm:
		return Owner{Kind: OwnerRelease, Name: name, Namespace: namespace}
	case controller != nil:
		return Owner{Kind: OwnerController, Name: controller.Kind + "/" + controller.Name}
	case managedBy == environment.FieldManager, labels[environment.LabelClient] != "", labels[environment.LabelStage] != "":
		return Owner{Kind: OwnerSlipway}
	case name != "" && !Owns(annotations, r.Name, r.Handle.Namespace):
		return Owner{Kind: OwnerOtherRelease, Name: name, Namespace: namespace}
	}
	if owner, found := DeployerOf(live); found {
		return owner
	}
	if managedBy != "" && managedBy != ManagedByHelm {
		return Owner{Kind: OwnerProgram, Name: managedBy}
	}
	return program(live)
}

// DeployerOf finds Argo CD and Flux by their marks. They write an object again when others change it, and remove it when their repository
// no longer has it, whoever else has it. Argo CD renders charts itself, so that its objects have the chart's labels and none of Helm's
// annotations.
func DeployerOf(live metav1.Object) (Owner, bool) {
	labels, annotations := live.GetLabels(), live.GetAnnotations()
	if app, _, _ := strings.Cut(annotations[annotationArgoTracking], ":"); app != "" {
		return Owner{Kind: OwnerArgoCD, Name: app}, true
	}
	for _, label := range []string{labelArgoInstance, labelFluxKustomization, labelFluxRelease} {
		switch value := labels[label]; {
		case value == "":
		case label == labelArgoInstance:
			return Owner{Kind: OwnerArgoCD, Name: value}, true
		default:
			return Owner{Kind: OwnerFlux, Name: value}, true
		}
	}
	instance := labels[labelInstance]
	argo := strings.Contains(strings.ToLower(labels[LabelManagedBy]), "argocd") || manages(live, "argocd")
	unreleased := labels[LabelManagedBy] == ManagedByHelm && annotations[AnnotationReleaseName] == "" && !manages(live, "kubectl")
	if instance != "" && (argo || unreleased) {
		return Owner{Kind: OwnerArgoCD, Name: instance}, true
	}
	return Owner{}, false
}

// manages reports that a program whose name begins so has written the object.
func manages(live metav1.Object, prefix string) bool {
	return slices.ContainsFunc(live.GetManagedFields(), func(f metav1.ManagedFieldsEntry) bool { return strings.HasPrefix(f.Manager, prefix) })
}

// program is who wrote the object, leaving out the controllers of Kubernetes. It does not change while nobody else writes the object.
func program(live metav1.Object) Owner {
	if manages(live, "kubectl") || live.GetAnnotations()["kubectl.kubernetes.io/last-applied-configuration"] != "" {
		return Owner{Kind: OwnerKubectl}
	}
	var names []string
	for _, f := range live.GetManagedFields() {
		if f.Subresource == "" && !strings.HasPrefix(f.Manager, "kube-") && f.Manager != cluster.FieldManager && f.Manager != "Helm" {
			names = append(names, f.Manager)
		}
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) > 0 {
		return Owner{Kind: OwnerProgram, Name: names[0]}
	}
	return Owner{Kind: OwnerProgram}
}

func (o Owner) String() string {
	switch o.Kind {
	case OwnerRelease:
		return "Helm release " + o.Name
	case OwnerOtherRelease:
		return fmt.Sprintf("Helm release %s in namespace %s", o.Name, o.Namespace)
	case OwnerSlipway:
		return "another resource of Slipway"
	case OwnerController:
		return o.Name
	case OwnerArgoCD:
		return "Argo CD, Application " + o.Name
	case OwnerFlux:
		return "Flux, " + o.Name
	case OwnerKubectl:
		return "kubectl"
	}
	if o.Name == "" {
		return "another program"
	}
	return o.Name
}

// Taking says which running objects a release may take over. The zero value takes none.
type Taking struct {
	// Allowed takes over objects that no Helm release, no controller and no resource of Slipway has.
	Allowed bool
	// From are other Helm releases in the namespace of which objects are taken over, too.
	From []string
}

// Refusal says why the release may not take over an object of that owner, and what to do; both are empty where it may.
func (t Taking) Refusal(r Release, owner Owner) (reason, cure string) {
	switch owner.Kind {
	case OwnerRelease:
		return "", ""
	case OwnerSlipway:
		return "it belongs to another resource of Slipway", "Leave the object out of the chart, or give it another name."
	case OwnerController:
		return "it is made by " + owner.Name, "Leave the object out of the chart, or give it another name."
	case OwnerOtherRelease:
		switch {
		case t.Allowed && owner.Namespace == r.Handle.Namespace && slices.Contains(t.From, owner.Name):
			return "", ""
		case owner.Namespace != r.Handle.Namespace:
			return "it belongs to the " + owner.String(), "Give it another name. Objects of a release in another namespace are not taken over."
		}
		return "it belongs to the " + owner.String(), fmt.Sprintf("Give it another name, or take it over from that release: "+
			"take_ownership = true and take_ownership_from = [%q].", owner.Name)
	}
	if t.Allowed {
		return "", ""
	}
	return "it belongs to no Helm release: it was made by " + owner.String(),
		"Set take_ownership = true to take it over as it runs, or give " +
			"it another name."
}
