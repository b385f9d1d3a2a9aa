// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package environment holds the handle of a client environment and the guards that keep clients apart. Its namespace is made
// and removed by package namespace.
package environment

import (
	"net"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
)

// Handle is what every other resource knows of an environment: coordinates only, no credentials.
type Handle struct {
	Client    string // for example "client-a"
	Stage     string // for example "prod": ^[a-z0-9]+$, without a hyphen
	Cluster   cluster.Coordinate
	Namespace string
	Database  *Database
	// Adopting says that the same plan adopts the namespace, which carries no owner's labels yet. Only plans and imports set it: an
	// operation takes no namespace for the environment's before its labels say so.
	Adopting bool
}

// Database is where the environment's database is. It holds no credential.
type Database struct {
	Host string
	Port int64
	Name string
}

// DefaultDatabasePort is that of PostgreSQL.
const DefaultDatabasePort = 5432

// Labels and annotations on what Slipway owns.
const (
	LabelClient        = "slipway.dev/client"
	LabelStage         = "slipway.dev/stage"
	AnnotationInstance = "slipway.dev/instance-id"
	FieldManager       = cluster.FieldManager
)

// Workspace is the Terraform workspace that may manage the environment: "<client>-<stage>".
func (h Handle) Workspace() string { return h.Client + "-" + h.Stage }

// Name is how the environment is called in messages: "<client>/<stage>".
func (h Handle) Name() string { return h.Client + "/" + h.Stage }

// CheckOwner returns a *NamespaceForeignError unless the labels of the handle's namespace name its client and its stage, or the same
// plan adopts a namespace without an owner.
func (h Handle) CheckOwner(labels map[string]string) error {
	if labels[LabelClient] == h.Client && labels[LabelStage] == h.Stage || h.Adopting && Unclaimed(labels) {
		return nil
	}
	return &NamespaceForeignError{
		Namespace: h.Namespace, Client: h.Client, Stage: h.Stage,
		OwnerClient: labels[LabelClient], OwnerStage: labels[LabelStage],
	}
}

// Unclaimed reports that the labels of a namespace name neither a client nor a stage.
func Unclaimed(labels map[string]string) bool {
	return labels[LabelClient] == "" && labels[LabelStage] == ""
}

// SystemNamespace reports a namespace that belongs to Kubernetes itself: the prefix kube- is reserved for its own. What an
// environment does to a namespace, and denying ingress first of all, would break the cluster there.
func SystemNamespace(name string) bool { return strings.HasPrefix(name, "kube-") }

// ValidHost reports that s is a DNS name or an IP address.
func ValidHost(s string) bool {
	return len(validation.IsDNS1123Subdomain(strings.ToLower(strings.TrimSuffix(s, ".")))) == 0 || net.ParseIP(s) != nil
}
