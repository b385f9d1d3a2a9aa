locals {
  defaults = {
    image       = { repository = "registry.company.com/data-collection" }
    autoscaling = { minReplicas = 2, maxReplicas = 20 }
  }

  # Objects are merged key by key: the result has minReplicas = 2 and maxReplicas = 50.
  values = provider::slipway::merge_values(
    local.defaults,
    { autoscaling = { maxReplicas = 50 } },
  )
}

output "values" {
  value = local.values
}
