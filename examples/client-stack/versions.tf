terraform {
  # Write-only arguments and ephemeral variables need 1.11, of Terraform and of OpenTofu.
  required_version = ">= 1.11"

  required_providers {
    slipway = {
      source = "slipway-dev/slipway"
    }
  }
}
