# One client in one stage: its environment and its service.

locals {
  workspace = coalesce(var.workspace, terraform.workspace)

  # The duration of the analysis in a stage. Any other stage counts as prod. In dev there is no analysis and no rollback: a failed
  # version stays for inspection.
  stages = {
    staging = { duration = "3m", lasting = "1m", validation = "1m", min_requests = 5 }
    prod    = { duration = "10m", lasting = "2m", validation = "2m", min_requests = 20 }
  }
  stage    = lookup(local.stages, var.stage, local.stages.prod)
  verified = coalesce(var.verified, var.stage != "dev")

  analysis = merge(var.analysis, {
    duration   = coalesce(var.analysis.duration, local.stage.duration)
    validation = local.stage.validation
    error_rate = merge(var.analysis.error_rate, {
      lasting      = coalesce(var.analysis.error_rate.lasting, local.stage.lasting)
      min_requests = coalesce(var.analysis.error_rate.min_requests, local.stage.min_requests)
    })
  })
}

resource "slipway_environment" "this" {
  client              = var.client
  stage               = var.stage
  cluster             = var.cluster
  namespace           = { name = var.namespace }
  database            = local.database
  deletion_protection = var.deletion_protection
  allow_cluster_move  = var.allow_cluster_move

  lifecycle {
    # The provider checks this too, in plans and destroys. This check can be tested without a provider.
    precondition {
      condition     = local.workspace == "${var.client}-${var.stage}"
      error_message = <<-EOT
        The selected workspace is "${local.workspace}", but the variables are those of ${var.client} in ${var.stage}.
        Select the workspace "${var.client}-${var.stage}", or pass the var-file that belongs to "${local.workspace}".
      EOT
    }
  }
}

resource "slipway_release" "app" {
  environment = slipway_environment.this
  name        = var.release_name

  allow_cluster_move = var.allow_cluster_move

  chart        = var.chart
  version      = var.app_version
  values_files = var.values_files
  values       = local.values

  sensitive_values  = var.sensitive_values
  values_wo         = var.secret_values
  values_wo_version = var.secret_values_version

  timeouts    = var.timeouts
  retry_token = var.retry_token

  # Additive schema changes run first: the old version works with them, and the new version may need them.
  depends_on = [slipway_migration.expand]

  # The tests run when the pods are ready. The first failure fails the release.
  dynamic "smoke_test" {
    for_each = local.verified ? var.smoke_tests : []

    content {
      name    = smoke_test.value.name
      timeout = smoke_test.value.timeout

      dynamic "helm_test" {
        for_each = smoke_test.value.helm_test ? [1] : []
        content {}
      }

      dynamic "http" {
        for_each = smoke_test.value.http[*]

        content {
          contains = http.value.contains

          service {
            name = http.value.service
            port = http.value.port
            path = http.value.path
          }
        }
      }

      dynamic "job" {
        for_each = smoke_test.value.job[*]

        content {
          image   = job.value.image
          command = job.value.command
          args    = job.value.args
        }
      }
    }
  }

  # Then the new version is analyzed; with two colors, after it has the traffic.
  dynamic "analysis" {
    for_each = local.verified && var.strategy != "blue_green" ? [local.analysis] : []

    content {
      initial_delay   = analysis.value.initial_delay
      duration        = analysis.value.duration
      interval        = analysis.value.interval
      on_inconclusive = analysis.value.on_inconclusive

      # More than 3 failed checks in a row: the 4th triggers.
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

      # More than 5% errors for 2 minutes: every sample is above the limit.
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

  # Finally, a Job can ask people or another system.
  dynamic "acceptance" {
    for_each = local.verified ? var.acceptance[*] : []

    content {
      timeout = acceptance.value.timeout

      job {
        image   = acceptance.value.image
        command = acceptance.value.command
        args    = acceptance.value.args
        env     = acceptance.value.env
      }
    }
  }

  # A failed version is rolled back to the last known-good version.
  dynamic "rollback" {
    for_each = local.verified ? var.rollback[*] : []

    content {
      timeout    = rollback.value.timeout
      validation = coalesce(rollback.value.validation, local.analysis.validation)
      quarantine = rollback.value.quarantine
    }
  }
}
