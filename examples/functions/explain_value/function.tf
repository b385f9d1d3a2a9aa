output "why" {
  value = provider::slipway::explain_value("${path.root}/clients", "client-a", "prod", "autoscaling.maxReplicas")
}
