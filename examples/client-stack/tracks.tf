# Two versions side by side. A resource outside of their releases decides which one has the traffic.
#
# The existing release stays unchanged, with the Service and all shared objects. Its pods are the track "stable". When a
# second track is added or removed, no object changes its owner and no pod restarts.

locals {
  # The Service of the chart and the label slipway.dev/app of all its pods have the name of the application.
  app = coalesce(var.release_name, var.chart.name, try(basename(var.chart.path), null))

  # A second track has its own version, independent of the first track's values.
  track_values = merge(local.values, try([for image in [var.values.image] : { image = { for k, v in image : k => v if k != "tag" } }], [])...)

  green = var.strategy == "blue_green" ? var.blue_green.green : null
}

# The second color. It has no Service of its own. slipway_blue_green analyzes it.
resource "slipway_release" "green" {
  count = local.green == null ? 0 : 1

  environment        = slipway_environment.this
  name               = "${local.app}-green"
  allow_cluster_move = var.allow_cluster_move

  chart        = var.chart
  version      = local.green
  values_files = var.values_files
  values = merge(local.track_values, {
    slipway = merge(try(var.values.slipway, {}), { role = "track", app = local.app, track = "green" })
  })

  sensitive_values  = var.sensitive_values
  values_wo         = var.secret_values
  values_wo_version = var.secret_values_version

  timeouts    = var.timeouts
  retry_token = var.retry_token

  # Its pods run under the ServiceAccount of the first release.
  depends_on = [slipway_migration.expand, slipway_release.app]

  lifecycle {
    # Otherwise Terraform destroys a removed color before the traffic has left it. Terraform reads the value from the state, so it is
    # set from the beginning.
    create_before_destroy = true
  }
}

resource "slipway_blue_green" "app" {
  count = var.strategy == "blue_green" ? 1 : 0

  environment        = slipway_environment.this
  service            = local.app
  allow_cluster_move = var.allow_cluster_move

  active        = var.blue_green.active
  blue_value    = "stable"
  keep_previous = var.blue_green.keep_previous
  retry_token   = var.retry_token
  timeouts      = var.blue_green.timeouts

  # Both colors are up to date before the traffic moves.
  depends_on = [slipway_release.app, slipway_release.green]

  lifecycle {
    precondition {
      condition     = var.blue_green.active == "blue" || local.green != null
      error_message = "Green cannot be live without a version: set blue_green.green."
    }
  }

  # The new color's pods are analyzed before the switch …
  dynamic "preview_analysis" {
    for_each = local.verified ? [local.analysis] : []

    content {
      duration = coalesce(var.blue_green.preview, "30s")
      interval = preview_analysis.value.interval

      health {
        consecutive_failures = preview_analysis.value.consecutive_failures

        pods {}
      }
    }
  }

  # … and after it, like every new version. If they fail, the traffic is switched back.
  dynamic "analysis" {
    for_each = local.verified ? [local.analysis] : []

    content {
      initial_delay   = analysis.value.initial_delay
      duration        = analysis.value.duration
      interval        = analysis.value.interval
      on_inconclusive = analysis.value.on_inconclusive

      health {
        consecutive_failures = analysis.value.consecutive_failures

        pods {}
      }

      dynamic "prometheus" {
        for_each = var.prometheus[*]

        content {
          url = prometheus.value.url

          dynamic "service" {
            for_each = prometheus.value.url == null ? [prometheus.value] : []

            content {
              namespace = service.value.namespace
              name      = service.value.name
              port      = service.value.port
            }
          }
        }
      }

      dynamic "metric" {
        for_each = var.prometheus == null ? [] : [analysis.value.error_rate]

        content {
          name           = "error_rate"
          query          = replace(metric.value.query, "{{window}}", metric.value.window)
          above          = metric.value.above
          for            = metric.value.lasting
          requests_query = replace(metric.value.requests_query, "{{window}}", metric.value.window)
          min_requests   = metric.value.min_requests
        }
      }
    }
  }
}
