# A canary next to the existing release, which continues as the track "stable" with the Service and all shared objects. The
# split is outside of both releases and exists as long as the strategy, with weight 0 while there is no canary.

locals {
  canary = var.strategy == "canary" ? var.canary.version : null

  # The queries of both tracks, with the placeholders for the canary and the window filled in.
  canary_queries = {
    for name in ["canary_query", "canary_requests_query", "stable_query", "stable_requests_query"] :
    name => replace(replace(local.analysis.error_rate[name], "{{canary}}", "${local.app}-canary"), "{{window}}", local.analysis.error_rate.window)
  }
  canary_compared = var.prometheus != null && (local.analysis.error_rate.max_ratio != null || local.analysis.error_rate.max_difference != null)
}

# The canary's pods. They have no Service of their own. slipway_canary analyzes them.
resource "slipway_release" "canary" {
  count = local.canary == null ? 0 : 1

  environment        = slipway_environment.this
  name               = "${local.app}-canary"
  allow_cluster_move = var.allow_cluster_move

  chart        = var.chart
  version      = local.canary
  values_files = var.values_files
  values = merge(local.track_values, {
    slipway = merge(try(var.values.slipway, {}), { role = "track", app = local.app, track = "canary" })
  })

  sensitive_values  = var.sensitive_values
  values_wo         = var.secret_values
  values_wo_version = var.secret_values_version

  timeouts    = var.timeouts
  retry_token = var.retry_token

  # Its pods run under the ServiceAccount of the first release.
  depends_on = [slipway_migration.expand, slipway_release.app]

  lifecycle {
    # Otherwise Terraform destroys a removed canary before the traffic has left it. Terraform reads the value from the state, so it
    # is set from the beginning.
    create_before_destroy = true
  }
}

resource "slipway_canary" "app" {
  count = var.strategy == "canary" ? 1 : 0

  environment        = slipway_environment.this
  name               = local.app
  allow_cluster_move = var.allow_cluster_move

  weight = var.canary.weight
  # Without a canary, no pod could answer requests with the headers.
  headers     = local.canary == null ? null : var.canary.headers
  data_plane  = var.canary.data_plane
  retry_token = var.retry_token
  timeouts    = var.canary.timeouts

  istio {
    host            = local.app
    hosts           = var.canary.istio.hosts
    gateways        = var.canary.istio.gateways
    virtual_service = var.canary.istio.virtual_service
    route           = var.canary.istio.route
  }

  stable {
    labels = { "slipway.dev/track" = "stable" }
  }

  canary {
    labels = { "slipway.dev/track" = "canary" }
  }

  dynamic "step" {
    for_each = local.canary == null ? [] : var.canary.steps

    content {
      weight = step.value.weight
      pause  = step.value.pause
    }
  }

  # Both releases are up to date before the traffic moves.
  depends_on = [slipway_release.app, slipway_release.canary]

  # A canary with a share of the calls is analyzed like every new version. If it fails, it loses its share.
  dynamic "analysis" {
    for_each = local.verified && var.canary.weight > 0 ? [local.analysis] : []

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
          query          = local.canary_queries.canary_query
          above          = metric.value.above
          for            = metric.value.lasting
          requests_query = local.canary_queries.canary_requests_query
          min_requests   = metric.value.min_requests
        }
      }

      dynamic "metric" {
        for_each = local.canary_compared ? [analysis.value.error_rate] : []

        content {
          name           = "error_rate_beside_stable"
          query          = local.canary_queries.canary_query
          for            = metric.value.lasting
          requests_query = local.canary_queries.canary_requests_query
          min_requests   = metric.value.min_requests

          baseline {
            query          = local.canary_queries.stable_query
            requests_query = local.canary_queries.stable_requests_query
            max_ratio      = metric.value.max_ratio
            max_difference = metric.value.max_difference
          }
        }
      }

      dynamic "sample_ratio" {
        for_each = var.prometheus != null && analysis.value.sample_ratio ? [true] : []

        content {
          canary_query = local.canary_queries.canary_requests_query
          stable_query = local.canary_queries.stable_requests_query
        }
      }
    }
  }
}
