# feature: "on"
# replicas: 3
output "values" {
  value = provider::slipway::values_yaml({ replicas = 3, feature = "on" })
}
