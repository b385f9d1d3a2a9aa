# Blue is the existing release, with the Service and everything that both colors share.
resource "slipway_release" "blue" {
  environment = slipway_environment.this
  chart       = { path = "charts/data-collection-service" }
  version     = "v1.1.1"
  values      = { slipway = { app = "data-collection-service", track = "blue" } }
}

resource "slipway_release" "green" {
  environment = slipway_environment.this
  name        = "data-collection-service-green"
  chart       = { path = "charts/data-collection-service" }
  version     = "v1.2.0"
  values      = { slipway = { role = "track", app = "data-collection-service", track = "green" } }

  # Its pods run under blue's ServiceAccount.
  depends_on = [slipway_release.blue]

  # After its removal from the configuration, green is destroyed only after the traffic has left it.
  lifecycle {
    create_before_destroy = true
  }
}

resource "slipway_blue_green" "app" {
  environment   = slipway_environment.this
  service       = "data-collection-service"
  active        = "green"
  keep_previous = "24h"

  # Before the switch, on the preview Service.
  preview_analysis {
    duration = "1m"

    health {
      http {
        name = "readyz"

        service {
          name = "data-collection-service-preview"
          port = "http"
          path = "/readyz"
        }
      }
    }
  }

  # After the switch: more than 5% errors for 2 minutes switch back at once.
  analysis {
    duration = "10m"

    prometheus {
      service {
        namespace = "monitoring"
        name      = "prometheus"
        port      = "9090"
      }
    }

    metric {
      name  = "error_rate"
      query = "(sum(rate(http_requests_total{namespace='{{ namespace }}',code=~'5..'}[1m])) or vector(0)) / sum(rate(http_requests_total{namespace='{{ namespace }}'}[1m]))"
      above = 0.05
      for   = "2m"
    }
  }

  timeouts = {
    update = "20m"
  }

  depends_on = [slipway_release.blue, slipway_release.green]
}
