# Additive changes, before the application starts: depends_on in the release.
resource "slipway_migration" "expand" {
  environment = slipway_environment.this
  directory   = "${path.module}/migrations"
  kind        = "expand"

  postgres_version = 17
  database_url_wo  = var.migrator_url # neither in the plan nor in the state
}

# The clean-up: the files that say "-- slipway:kind contract". It waits until no version before v1.1.0 runs or could be
# rolled back to, and until the present one was known good for a day.
resource "slipway_migration" "contract" {
  environment = slipway_environment.this
  directory   = "${path.module}/migrations"
  kind        = "contract"

  postgres_version   = 17
  credentials_secret = { name = "migrator", key = "url" }

  safe_after   = "v1.1.0"
  release      = slipway_release.app.name
  soak         = "24h"
  also_used_by = { reports = "v1.2.0" }
}

# A tool of your own in place of SQL files: here Django. The image holds the application and its migrations.
resource "slipway_migration" "django" {
  environment        = slipway_environment.this
  name               = "shop"
  kind               = "expand"
  image              = "registry.company.com/shop@${var.shop_digest}"
  credentials_secret = { name = "migrator", key = "url" }

  commands = {
    version  = "v1.2.0"
    check    = ["python", "manage.py", "check", "--database", "default"]
    run      = ["python", "manage.py", "migrate", "--noinput"]
    validate = ["python", "manage.py", "migrate", "--check"]
    status   = ["python", "manage.py", "migrate", "--check"]

    env = { DJANGO_SETTINGS_MODULE = "shop.settings" }
  }
}
