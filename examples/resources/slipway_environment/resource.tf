resource "slipway_environment" "this" {
  client  = "client-a"
  stage   = "prod"
  cluster = { context = "client-a-prod" }

  namespace = { name = "data-collection-client-a" }
}
