// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package namespace

import (
	"net"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// Traffic rules of Network.
const (
	TrafficDeny  = "deny"
	TrafficAllow = "allow"
)

// Network says what may talk to the environment's pods, and they to whom. Pods of one namespace always reach each other.
// Where the cluster enforces no network policies, it has no effect.
type Network struct {
	// Ingress and Egress are TrafficDeny or TrafficAllow. The presets below open what deny closes.
	Ingress string `json:"ingress"`
	Egress  string `json:"egress"`
	// DNS lets pods ask any name server (port 53).
	DNS bool `json:"dns"`
	// Prometheus lets pods with these labels, in that namespace, scrape.
	Prometheus *Peer `json:"prometheus,omitempty"`
	// Istio is the namespace of the mesh's control plane and gateways; empty for none.
	Istio string `json:"istio,omitempty"`
	// LoadBalancerCIDRs are where load balancers send from (for ALBs in IP mode: the subnets of the VPC).
	LoadBalancerCIDRs []string `json:"loadBalancerCIDRs,omitempty"`
	// DatabaseCIDRs are the subnets of the database, reached on the port of the handle's database.
	DatabaseCIDRs []string `json:"databaseCIDRs,omitempty"`
	// AWS lets pods reach AWS APIs (port 443) and the Pod Identity agent.
	AWS bool `json:"aws,omitempty"`
}

// Peer is pods in one namespace; without labels, all of them.
type Peer struct {
	Namespace string            `json:"namespace"`
	PodLabels map[string]string `json:"podLabels,omitempty"`
}

const (
	ingressPolicy = "slipway-ingress"
	egressPolicy  = "slipway-egress"

	// podIdentityAgent is the address of EKS Pod Identity on each node.
	podIdentityAgent = "169.254.170.23/32"
	istiodPort       = 15012
)

// policies are the specs of the wanted NetworkPolicies by name.
func (n Network) policies(database *environment.Database) map[string]map[string]any {
	policies := map[string]map[string]any{}
	if n.Ingress == TrafficDeny {
		policies[ingressPolicy] = policy("Ingress", "ingress", n.ingressRules())
	}
	if n.Egress == TrafficDeny {
		policies[egressPolicy] = policy("Egress", "egress", n.egressRules(database))
	}
	return policies
}

func policy(policyType, field string, rules []any) map[string]any {
	return map[string]any{"podSelector": map[string]any{}, "policyTypes": []any{policyType}, field: rules}
}

func (n Network) ingressRules() []any {
	rules := []any{rule("from", nil, samePods())}
	if n.Prometheus != nil {
		rules = append(rules, rule("from", nil, n.Prometheus.selector()))
	}
	if n.Istio != "" {
		rules = append(rules, rule("from", nil, (&Peer{Namespace: n.Istio}).selector()))
	}
	if len(n.LoadBalancerCIDRs) > 0 {
		rules = append(rules, rule("from", nil, blocks(n.LoadBalancerCIDRs)...))
	}
	return rules
}

func (n Network) egressRules(database *environment.Database) []any {
	rules := []any{rule("to", nil, samePods())}
	if n.DNS {
		rules = append(rules, rule("to", []any{port("UDP", 53), port("TCP", 53)}))
	}
	if n.Istio != "" {
		rules = append(rules, rule("to", []any{port("TCP", istiodPort)}, (&Peer{Namespace: n.Istio}).selector()))
	}
	if len(n.DatabaseCIDRs) > 0 {
		number := int64(environment.DefaultDatabasePort) // An import knows the networks and not the database.
		if database != nil {
			number = database.Port
		}
		rules = append(rules, rule("to", []any{port("TCP", number)}, blocks(n.DatabaseCIDRs)...))
	}
	if n.AWS {
		rules = append(rules,
			rule("to", []any{port("TCP", 443)}),
			rule("to", []any{port("TCP", 80)}, blocks([]string{podIdentityAgent})...))
	}
	return rules
}

func rule(direction string, ports []any, peers ...any) map[string]any {
	made := map[string]any{}
	if len(ports) > 0 {
		made["ports"] = ports
	}
	if len(peers) > 0 {
		made[direction] = peers
	}
	return made
}

func samePods() any { return map[string]any{"podSelector": map[string]any{}} }

func (p *Peer) selector() any {
	selector := map[string]any{
		"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": p.Namespace}},
	}
	if len(p.PodLabels) > 0 {
		labels := map[string]any{}
		for key, value := range p.PodLabels {
			labels[key] = value
		}
		selector["podSelector"] = map[string]any{"matchLabels": labels}
	}
	return selector
}

func port(protocol string, number int64) any {
	return map[string]any{"protocol": protocol, "port": number}
}

func blocks(cidrs []string) []any {
	peers := make([]any, len(cidrs))
	for i, cidr := range cidrs {
		peers[i] = map[string]any{"ipBlock": map[string]any{"cidr": cidr}}
	}
	return peers
}

// ValidCIDR reports that s is an IP network in CIDR notation.
func ValidCIDR(s string) bool {
	_, network, err := net.ParseCIDR(s)
	return err == nil && network != nil && network.String() == s
}
