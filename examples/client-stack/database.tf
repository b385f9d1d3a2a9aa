# The client's own database on an existing server, and its migrations.

locals {
  database = one([for d in var.database[*] : {
    host = d.host
    port = d.port
    name = coalesce(d.name, "${var.client}-${var.stage}-db")
  }])

  # The application finds its database through the Secret, and restarts when the Secret has new passwords.
  values = merge(var.values, [for d in slipway_database.this : {
    database       = merge(try(var.values.database, {}), { existingSecret = d.app_secret })
    podAnnotations = merge(try(var.values.podAnnotations, {}), { "slipway.dev/database-password" = tostring(d.password_version) })
  }]...)

  # A contract migration without a contract file has nothing to run.
  contract = try(var.migrations.safe_after, null) != null && anytrue([
    for f in try(fileset(var.migrations.directory, "*.sql"), []) : strcontains(file("${var.migrations.directory}/${f}"), "slipway:kind contract")
  ])
}

resource "slipway_database" "this" {
  count = var.database == null ? 0 : 1

  environment = slipway_environment.this
  server = {
    sslmode        = var.database.sslmode
    ca_certificate = var.database.ca_certificate
    admin_user     = var.database.admin_user
  }
  admin_password_wo = var.database_admin_password

  connection_limit    = var.database.connection_limit
  extensions          = var.database.extensions
  password_version    = var.database.password_version
  deletion_protection = var.deletion_protection
}

resource "slipway_migration" "expand" {
  count = var.migrations == null ? 0 : 1

  environment        = slipway_environment.this
  kind               = "expand"
  directory          = var.migrations.directory
  postgres_version   = var.migrations.postgres_version
  image              = var.migrations.image
  credentials_secret = { name = one(slipway_database.this[*].owner_secret), key = "DATABASE_URL" }
}

# The contract runs after the release. It waits, with a reason, while a version that needs the old schema can be restored.
resource "slipway_migration" "contract" {
  count = local.contract ? 1 : 0

  environment        = slipway_environment.this
  kind               = "contract"
  directory          = var.migrations.directory
  postgres_version   = var.migrations.postgres_version
  image              = var.migrations.image
  credentials_secret = { name = one(slipway_database.this[*].owner_secret), key = "DATABASE_URL" }

  safe_after = var.migrations.safe_after
  release    = local.green == null && local.canary == null ? slipway_release.app.name : null # of two tracks, both count
  soak       = coalesce(var.migrations.soak, var.stage == "prod" ? "24h" : "0s")

  depends_on = [slipway_release.app, slipway_canary.app, slipway_blue_green.app]
}
