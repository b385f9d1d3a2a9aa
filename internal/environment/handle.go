// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package environment says what a client environment is: its handle, the guards that keep clients apart, and the objects
// of its namespace.
package environment

import (
	"context"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
)

// Handle is what every other resource knows of an environment: coordinates only, no credentials.
type Handle struct {
	Client    string // for example "client-a"
	Stage     string // for example "prod": ^[a-z0-9]+$, without a hyphen
	Cluster   cluster.Coordinate
	Namespace string
	Database  *Database
}

// Database is where the environment's database is. It holds no credential.
type Database struct {
	Host string
	Port int64
	Name string
}

// Labels and annotations on what Slipway owns.
const (
	LabelClient        = "slipway.dev/client"
	LabelStage         = "slipway.dev/stage"
	AnnotationInstance = "slipway.dev/instance-id"
	FieldManager       = "slipway"
)

// Workspace is the Terraform workspace that may manage the environment: "<client>-<stage>".
func (h Handle) Workspace() string { return h.Client + "-" + h.Stage }

// GuardWorkspace returns a *WorkspaceError when workspace (from provider { workspace = terraform.workspace }) is set and
// is not the handle's. An empty workspace means that the provider was not told, and guards nothing.
func GuardWorkspace(workspace string, h Handle) error

// Check reads the namespace and returns its UID when it belongs to the handle. Errors: *NamespaceMissingError,
// *NamespaceForeignError (labels of another client or stage, or none), others as from cluster.Classify.
func Check(ctx context.Context, c *cluster.Cluster, h Handle) (namespaceUID string, err error)
