# One client in one stage: its environment and the service that runs in it.

locals {
  workspace = coalesce(var.workspace, terraform.workspace)
}

resource "slipway_environment" "this" {
  client              = var.client
  stage               = var.stage
  cluster             = var.cluster
  namespace           = { name = var.namespace }
  deletion_protection = var.deletion_protection
  allow_cluster_move  = var.allow_cluster_move

  lifecycle {
    # The provider guards this too, at plan and on destroy; here it can be tested without a provider.
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
  values       = var.values

  sensitive_values  = var.sensitive_values
  values_wo         = var.secret_values
  values_wo_version = var.secret_values_version

  timeouts = var.timeouts
}
