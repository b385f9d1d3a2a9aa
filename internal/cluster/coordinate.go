// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package cluster connects to Kubernetes clusters and proves which one it talks to. A cluster is named by a
// Coordinate, which holds no credential and may be stored; credentials come from Config and stay in memory.
package cluster

// Coordinate names one cluster. Exactly one of its fields is set; the zero value names no cluster and is refused
// everywhere, because client-go answers an empty configuration with the cluster that the process happens to run in.
type Coordinate struct {
	// Context is the name of an entry of Config.Clusters or, where there is none, of a kubeconfig context.
	Context string
	// EKS names an Amazon EKS cluster. Not connected yet: every use is an *UnsupportedError.
	EKS *EKS
}

// EKS is what identifies an Amazon EKS cluster and the role that is assumed to reach it.
type EKS struct {
	Name      string
	Region    string
	AccountID string
	RoleARN   string
}
