# Only the provider receives the administrator's password: from an ephemeral variable, and for a destroy from the environment
# variable SLIPWAY_DATABASE_ADMIN_PASSWORD.
variable "database_admin_password" {
  type      = string
  ephemeral = true
}

resource "slipway_database" "this" {
  environment = slipway_environment.this
  name        = "client-a-db"

  server = {
    host           = "client-a.abc.eu-central-1.rds.amazonaws.com"
    ca_certificate = file("${path.module}/rds-ca.pem")
  }
  admin_password_wo = var.database_admin_password

  extensions = ["pgcrypto"]
}

# Migrations run as the owner. The application uses a role that cannot change the schema.
resource "slipway_migration" "expand" {
  environment        = slipway_environment.this
  directory          = "${path.module}/migrations"
  kind               = "expand"
  credentials_secret = { name = slipway_database.this.owner_secret, key = "DATABASE_URL" }
}

resource "slipway_release" "app" {
  environment = slipway_environment.this
  chart       = { path = "charts/data-collection-service" }
  version     = "v1.2.0"

  values = {
    database = { existingSecret = slipway_database.this.app_secret }
    # New passwords restart the pods.
    podAnnotations = { "slipway.dev/database-password" = tostring(slipway_database.this.password_version) }
  }

  depends_on = [slipway_migration.expand]
}
