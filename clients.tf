# The root module of a vendor's deployments. It is the same in every workspace, with one workspace per client and stage.
#
#     terraform workspace new client-a-prod
#     terraform apply -var-file=clients/client-a/prod.tfvars
#
# To start your own repository, copy this file and clients/.

terraform {
  required_version = ">= 1.11"

  required_providers {
    slipway = {
      source = "slipway-dev/slipway"
    }
  }
}

# The provider finds clusters in the kubeconfig (KUBECONFIG, otherwise ~/.kube/config). With the workspace, it refuses
# everything that belongs to another client, also in destroys.
provider "slipway" {
  workspace = terraform.workspace
}

variable "client" {
  description = "Name of the client."
  type        = string
}

variable "stage" {
  description = "dev, staging or prod."
  type        = string
}

variable "context" {
  description = "Kubeconfig context of the client's cluster."
  type        = string
}

variable "namespace" {
  description = "The client's namespace."
  type        = string
}

variable "app_version" {
  description = "Version of the application."
  type        = string
}

variable "deletion_protection" {
  description = "Refuse to destroy the environment."
  type        = bool
  default     = true
}

variable "allow_cluster_move" {
  description = "UID of the cluster to which the client may move."
  type        = string
  default     = null
}

variable "values" {
  description = "Helm values that override the layers in clients/, for experiments or for values that only Terraform knows."
  type        = any
  default     = {}
}

variable "secret_values" {
  description = "Helm values that are never stored, for example from TF_VAR_secret_values in the pipeline."
  type        = any
  default     = null
  ephemeral   = true
}

variable "secret_values_version" {
  description = "Increase it when secret_values change."
  type        = number
  default     = null
}

variable "analysis" {
  description = "Analysis of a new version. Default: the stack's analysis; see its variable."
  type        = any
  default     = {}
}

variable "prometheus" {
  description = "The Prometheus in the client's cluster; see the stack's variable. Null: there is none, and the analysis covers only health checks."
  type        = any
  default     = { namespace = "monitoring", name = "prometheus" }
}

variable "rollback" {
  description = "How a failed version is rolled back; see the stack's variable. Null: it stays, and the apply fails."
  type        = any
  default     = {}
}

variable "strategy" {
  description = "Rollout of a new version: \"rolling\", \"canary\" or \"blue_green\"; see the stack's variable."
  type        = string
  default     = "rolling"
}

variable "canary" {
  description = "The canary's version and its share of the calls; see the stack's variable."
  type        = any
  default     = {}
}

variable "blue_green" {
  description = "The live color and green's version; see the stack's variable."
  type        = any
  default     = {}
}

variable "retry_token" {
  description = "Any text. Changing it releases a failed version from quarantine."
  type        = string
  default     = null
}

variable "database" {
  description = "The PostgreSQL server for the clients' databases; see the stack's variable. Null: records stay in memory."
  type        = any
  default     = null
}

variable "database_admin_password" {
  description = "Password of the server's administrator, from the pipeline. It is never stored."
  type        = string
  default     = null
  ephemeral   = true
}

variable "migrations" {
  description = "Overrides for the stack's migrations, such as soak; see its variable."
  type        = any
  default     = {}
}

# The finished values of this environment, from the layers that clients/fleet.yaml names. `slipway generate` writes the same
# values as files, and `slipway explain` shows the source of each value.
data "slipway_values" "this" {
  directory = "${path.root}/clients"
  client    = var.client
  stage     = var.stage
}

locals {
  # The variables of this run override the files.
  values = provider::slipway::merge_values(
    data.slipway_values.this.values,
    { image = { tag = var.app_version } },
    var.values,
  )
}

module "stack" {
  source = "./examples/client-stack"

  client    = var.client
  stage     = var.stage
  namespace = var.namespace

  # On Amazon EKS, in the client's own account:
  # cluster = { eks = { name = "client-a-prod", region = "eu-central-1", account_id = "111111111111" } }
  cluster = { context = var.context }

  chart       = { path = "${path.root}/examples/data-collection/chart/data-collection-service" }
  app_version = var.app_version
  values      = local.values

  secret_values         = var.secret_values
  secret_values_version = var.secret_values_version

  prometheus  = var.prometheus
  analysis    = var.analysis
  rollback    = var.rollback
  retry_token = var.retry_token

  strategy   = var.strategy
  canary     = var.canary
  blue_green = var.blue_green

  database                = var.database
  database_admin_password = var.database_admin_password
  migrations = one([for d in var.database[*] : merge({
    directory  = "${path.root}/examples/data-collection/migrations"
    safe_after = "v1.1.0"
  }, var.migrations)])

  deletion_protection = var.deletion_protection
  allow_cluster_move  = var.allow_cluster_move
}

output "namespace" {
  description = "The client's namespace."
  value       = module.stack.namespace
}

output "release" {
  description = "The deployed release."
  value       = module.stack.release
}
