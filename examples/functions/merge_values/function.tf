locals {
  fleet  = { autoscaling = { enabled = true, maxReplicas = 10 }, config = { LOG_LEVEL = "info" } }
  client = { autoscaling = { maxReplicas = 50 } }
}

# { autoscaling = { enabled = true, maxReplicas = 50 }, config = { LOG_LEVEL = "info" } }
output "values" {
  value = provider::slipway::merge_values(local.fleet, local.client)
}
