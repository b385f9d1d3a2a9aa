// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package drift

import (
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// sameOrBelow reports that one of two leaves is the other one, or lies in it: a patch may make what the server then fills.
func sameOrBelow(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }

// IsReplicas reports that a leaf is the number of pods of a workload.
func IsReplicas(leaf object.Drift) bool { return leaf.Path == "spec.replicas" }

// injected are leaves that charts leave open, or fill with a placeholder, for a controller to write a certificate into.
var injected = []object.IgnoreRule{
	{Kind: "MutatingWebhookConfiguration", Paths: []string{"webhooks[*].clientConfig.caBundle"}},
	{Kind: "ValidatingWebhookConfiguration", Paths: []string{"webhooks[*].clientConfig.caBundle"}},
	{Kind: "APIService", Paths: []string{"spec.caBundle"}},
	{Kind: "CustomResourceDefinition", Paths: []string{"spec.conversion.webhook.clientConfig.caBundle"}},
}

func namesSecret(key object.Key) bool { return strings.Contains(string(key), object.MaskSecret) }

// secretKinds are the masked keys of what the state shows.
func (d *Comparison) secretKinds() map[object.Key]bool {
	out := map[object.Key]bool{}
	for key := range d.options.Rendered {
		if i := strings.Index(string(key), object.MaskSecret); i >= 0 {
			out[key[:i+len(object.MaskSecret)]] = true // without a number
		}
	}
	return out
}

// secretKey is the key of an object whose name is not shown.
func secretKey(o map[string]any) object.Key {
	apiVersion, _ := o["apiVersion"].(string)
	kind, _ := o["kind"].(string)
	return object.NewKey(apiVersion, kind, "", object.MaskSecret, "")
}

// shellOf shows of an object only what it is.
func shellOf(o map[string]any) map[string]any {
	out := make(map[string]any, len(o))
	for field := range o {
		out[field] = object.MaskSecret
	}
	out["apiVersion"], out["kind"] = o["apiVersion"], o["kind"]
	return out
}

func compareKeys(a, b object.Key) int { return strings.Compare(string(a), string(b)) }
