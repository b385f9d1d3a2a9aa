resource "slipway_release" "app" {
  # The whole resource. It names the client's cluster and namespace.
  environment = slipway_environment.this

  chart   = { path = "${path.module}/charts/data-collection-service" }
  version = "v1.2.0"

  # Later files override earlier ones. values override the files.
  values_files = ["${path.module}/values.yaml", "${path.module}/values-client-a.yaml"]
  values       = { autoscaling = { maxReplicas = 50 } }

  # Neither in the plan nor in the state.
  values_wo         = { apiToken = var.api_token }
  values_wo_version = 1

  timeouts = { update = "10m" }

  # Does the new version answer? This test runs before the analysis.
  smoke_test {
    name = "version"
    http {
      service {
        name = "data-collection-service"
        port = "http"
        path = "/version"
      }
      contains = "v1.2.0"
    }
  }

  # More than 3 failed health checks in a row, or more than 5% errors for 2 minutes, roll the version back.
  analysis {
    duration = "5m"

    health {
      consecutive_failures = 3
      pods {}
      http {
        name = "readyz"
        service {
          name = "data-collection-service"
          port = "http"
          path = "/readyz"
        }
      }
    }

    prometheus {
      service {
        namespace = "monitoring"
        name      = "prometheus"
        port      = 9090
      }
    }

    metric {
      name  = "error_rate"
      query = <<-EOT
        (sum(rate(http_requests_total{namespace="{{ namespace }}", code=~"5.."}[1m])) or vector(0))
          / sum(rate(http_requests_total{namespace="{{ namespace }}"}[1m]))
      EOT
      above = 0.05
      for   = "2m"
    }
  }

  rollback {
    validation = "1m"
  }
}

variable "api_token" {
  type      = string
  ephemeral = true
}
