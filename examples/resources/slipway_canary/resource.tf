resource "slipway_canary" "app" {
  environment = slipway_environment.this
  name        = "data-collection"
  weight      = 100
  headers     = { canary = "true" }

  istio {
    host = "data-collection-service"
  }
  stable {
    labels = { "slipway.dev/track" = "stable" }
  }
  canary {
    labels = { "slipway.dev/track" = "canary" }
  }

  step {
    weight = 10
    pause  = "1m"
  }
  step {
    weight = 50
  }
  analysis {
    duration = "5m"
  }

  depends_on = [slipway_release.stable, slipway_release.canary]
}
