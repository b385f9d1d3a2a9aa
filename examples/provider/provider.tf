terraform {
  required_version = ">= 1.11"

  required_providers {
    slipway = {
      source = "slipway-dev/slipway"
    }
  }
}

provider "slipway" {
  # With this, nothing that belongs to another client or stage can be planned or destroyed in the selected workspace.
  workspace = terraform.workspace
}
