// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package acceptance has the tests that run the built provider under a real Terraform or OpenTofu against a real cluster, as a user does.
// They show what the terraform-plugin-testing framework cannot: signals, killed processes, two applies at once, workspaces, and the text
// that people read.
package acceptance
