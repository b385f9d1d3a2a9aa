variable "client" {
  type    = string
  default = "client-a"
}

variable "stage" {
  type    = string
  default = "prod"
}

resource "terraform_data" "workspace" {
  lifecycle {
    precondition {
      condition     = terraform.workspace == provider::slipway::workspace_name(var.client, var.stage)
      error_message = "Workspace ${terraform.workspace} must not be used for ${var.client} ${var.stage}."
    }
  }
}
