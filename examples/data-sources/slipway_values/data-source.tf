# The values that `slipway generate` writes to environments/client-a/prod/values.yaml.
data "slipway_values" "this" {
  directory = "${path.root}/clients"
  client    = "client-a"
  stage     = "prod"
}

# values = data.slipway_values.this.values in slipway_release.
output "replicas" {
  value = data.slipway_values.this.values.autoscaling.maxReplicas
}

# "client clients/client-a/values.yaml:9"
output "set_in" {
  value = data.slipway_values.this.sources["autoscaling.maxReplicas"]
}
