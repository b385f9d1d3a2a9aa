terraform {
  required_version = ">= 1.11"

  required_providers {
    slipway = {
      source = "slipway-dev/slipway"
    }
  }
}

provider "slipway" {
  # The provider refuses plans and destroys of another client or stage in the selected workspace.
  workspace = terraform.workspace
}
