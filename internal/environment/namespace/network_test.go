// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package namespace

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

func TestNetwork_Policies(t *testing.T) {
	database := &environment.Database{Host: "db", Port: 5433, Name: "n"}
	tests := map[string]struct {
		network  Network
		database *environment.Database
		want     map[string]string // name → JSON of the rules
	}{
		"open": {Network{Ingress: TrafficAllow, Egress: TrafficAllow}, nil, nil},
		"default": {
			Network{Ingress: TrafficDeny, Egress: TrafficAllow, DNS: true}, nil,
			map[string]string{ingressPolicy: `[{"from":[{"podSelector":{}}]}]`},
		},
		"presets of ingress": {
			Network{
				Ingress: TrafficDeny, Egress: TrafficAllow, Istio: "istio-system", LoadBalancerCIDRs: []string{"10.0.0.0/16"},
				Prometheus: &Peer{Namespace: "monitoring", PodLabels: map[string]string{"app": "prometheus"}},
			}, nil,
			map[string]string{ingressPolicy: `[{"from":[{"podSelector":{}}]},` +
				`{"from":[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"monitoring"}},` +
				`"podSelector":{"matchLabels":{"app":"prometheus"}}}]},` +
				`{"from":[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"istio-system"}}}]},` +
				`{"from":[{"ipBlock":{"cidr":"10.0.0.0/16"}}]}]`},
		},
		"presets of egress": {
			Network{
				Ingress:       TrafficAllow,
				Egress:        TrafficDeny,
				DNS:           true,
				Istio:         "istio-system",
				DatabaseCIDRs: []string{"10.0.20.0/24"},
				AWS:           true,
			}, database,
			map[string]string{egressPolicy: `[{"to":[{"podSelector":{}}]},` +
				`{"ports":[{"port":53,"protocol":"UDP"},{"port":53,"protocol":"TCP"}]},` +
				`{"ports":[{"port":15012,"protocol":"TCP"}],` +
				`"to":[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"istio-system"}}}]},` +
				`{"ports":[{"port":5433,"protocol":"TCP"}],"to":[{"ipBlock":{"cidr":"10.0.20.0/24"}}]},` +
				`{"ports":[{"port":443,"protocol":"TCP"}]},` +
				`{"ports":[{"port":80,"protocol":"TCP"}],"to":[{"ipBlock":{"cidr":"169.254.170.23/32"}}]}]`},
		},
		"egress closed altogether": {
			Network{Ingress: TrafficAllow, Egress: TrafficDeny}, nil,
			map[string]string{egressPolicy: `[{"to":[{"podSelector":{}}]}]`},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := test.network.policies(test.database)
			if len(got) != len(test.want) {
				t.Fatalf("%d policies: %v", len(got), got)
			}
			for policy, want := range test.want {
				field := strings.TrimPrefix(policy, "slipway-")
				rules, err := json.Marshal(got[policy][field])
				if err != nil {
					t.Fatal(err)
				}
				if string(rules) != want {
					t.Errorf("%s:\n got %s\nwant %s", policy, rules, want)
				}
			}
		})
	}
}

func TestValidCIDR(t *testing.T) {
	for s, want := range map[string]bool{"10.0.0.0/16": true, "10.0.0.1/16": false, "10.0.0.0": false, "fd00::/8": true, "": false} {
		if ValidCIDR(s) != want {
			t.Errorf("%q is valid: %v", s, !want)
		}
	}
}

func TestValidQuantity(t *testing.T) {
	for s, want := range map[string]bool{"500m": true, "4Gi": true, "2": true, "-1": false, "many": false, "": false} {
		if ValidQuantity(s) != want {
			t.Errorf("%q is valid: %v", s, !want)
		}
	}
}
