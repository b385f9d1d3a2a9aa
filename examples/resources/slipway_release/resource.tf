resource "slipway_release" "app" {
  # The whole resource: where the client's cluster and namespace are.
  environment = slipway_environment.this

  chart   = { path = "${path.module}/charts/data-collection-service" }
  version = "v1.2.0"

  # Later ones win; values come over the files.
  values_files = ["${path.module}/values.yaml", "${path.module}/values-client-a.yaml"]
  values       = { autoscaling = { maxReplicas = 50 } }

  # Neither in the plan nor in the state.
  values_wo         = { apiToken = var.api_token }
  values_wo_version = 1

  timeouts = { update = "10m" }
}

variable "api_token" {
  type      = string
  ephemeral = true
}
