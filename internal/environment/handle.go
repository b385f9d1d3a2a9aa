// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package environment says what a client environment is: its handle, the guards that keep clients apart, and the objects
// of its namespace.
package environment

import "github.com/slipway-dev/terraform-provider-slipway/internal/cluster"

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
