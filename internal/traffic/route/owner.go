// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
)

// Owner says for whom a route is managed.
type Owner struct {
	// Handle is the environment; everything is in its namespace.
	Handle environment.Handle
	// Name is that of the split, a DNS label, unique in the environment. Own objects have this name.
	Name string
	// InstanceID is the id of the resource in Terraform's state. A route that carries another one is refused,
	// unless TakeOver is set, as it is in a Create.
	InstanceID string
	TakeOver   bool
	// Adopt is the UID of an object that was divided by hand and imported: its first Set makes it ours, or the route in it. Another
	// object, and one that is managed for another environment, is refused as ever.
	Adopt string
}

// Labels are those of an object that is the split's own.
func (o Owner) Labels() map[string]string {
	return map[string]string{
		environment.LabelClient: o.Handle.Client, environment.LabelStage: o.Handle.Stage,
		cluster.LabelManagedBy: cluster.FieldManager, record.LabelCanary: o.Name,
	}
}

// owns reports that an object is this split's own.
func (o Owner) owns(object *unstructured.Unstructured) bool {
	labels := object.GetLabels()
	for key, value := range o.Labels() {
		if labels[key] != value {
			return false
		}
	}
	return true
}

func (o Owner) validate() []Problem {
	if len(validation.IsDNS1123Label(o.Name)) > 0 {
		return []Problem{{
			Field: "name",
			Text:  fmt.Sprintf("%q is no name of a split: at most 63 lower case letters, digits and hyphens.", o.Name),
		}}
	}
	return nil
}

// adopts reports that an object is the one that was imported, and is still nobody's.
func (o Owner) adopts(live *unstructured.Unstructured, shared bool) bool {
	return o.Adopt != "" && string(live.GetUID()) == o.Adopt && whose(live) == "" && (shared || ownedBy(live) == "")
}
