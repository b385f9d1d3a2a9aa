# "client-a-prod"
output "workspace" {
  value = provider::slipway::workspace_name("client-a", "prod")
}
