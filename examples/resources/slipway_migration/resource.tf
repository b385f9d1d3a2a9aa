# Additive changes run before the release, which has depends_on.
resource "slipway_migration" "expand" {
  environment = slipway_environment.this
  directory   = "${path.module}/migrations"
  kind        = "expand"

  postgres_version = 17
  database_url_wo  = var.migrator_url # neither in the plan nor in the state
}

# The contract: the files with "-- slipway:kind contract". It waits until no version before v1.1.0 runs or can be restored by a
# rollback, and until the current version has been known-good for a day.
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

# Your own tool instead of SQL files, here Django. The image contains the application and its migrations.
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
