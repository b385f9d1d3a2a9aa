// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

// CONTEXT is the kubeconfig context of the cluster, CHART the path of the chart.
const header = `
terraform {
  required_providers {
    slipway = { source = "slipway-dev/slipway" }
  }
}

variable "releases" {
  type = number
}

locals {
  environments = { for i in range(var.releases) : format("client-%03d", i) => {
    client    = format("client-%03d", i)
    stage     = "prod"
    cluster   = { context = "CONTEXT" }
    namespace = { name = format("bench-client-%03d", i) }
  } }
}
`

const environmentsModule = header + `
resource "slipway_environment" "this" {
  for_each = local.environments

  client              = each.value.client
  stage               = each.value.stage
  cluster             = each.value.cluster
  namespace           = each.value.namespace
  deletion_protection = false
}
`

const releasesModule = header + `
resource "slipway_release" "this" {
  for_each = local.environments

  environment = each.value
  name        = "eight"
  chart       = { path = "CHART" }
  version     = "v1.0.0"
  values      = { settings = { CLIENT = each.key } }

  sensitive_values = { token = "token of ${each.key}" }
}
`

// The input has the size of a release's values, not of its objects: less is not possible with any provider.
const baselineModule = `
variable "releases" {
  type = number
}

resource "terraform_data" "this" {
  for_each = { for i in range(var.releases) : format("client-%03d", i) => { settings = { CLIENT = format("client-%03d", i) } } }

  input = each.value
}
`
