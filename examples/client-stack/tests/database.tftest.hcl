# If a server is given, a client gets its own database, and its service gets credentials that cannot change the schema.

mock_provider "slipway" {}

variables {
  workspace   = "client-a-prod"
  client      = "client-a"
  stage       = "prod"
  cluster     = { context = "client-a-prod" }
  namespace   = "data-collection-client-a"
  chart       = { path = "charts/data-collection-service" }
  app_version = "v1.2.0"
  values      = { database = { port = 5432 }, podAnnotations = { team = "data" } }
}

run "makes_none_where_no_server_is_given" {
  command = plan

  assert {
    condition     = length(slipway_database.this) + length(slipway_migration.expand) + length(slipway_migration.contract) == 0
    error_message = "A database or migration is planned."
  }
  assert {
    condition     = slipway_release.app.values == { database = { port = 5432 }, podAnnotations = { team = "data" } }
    error_message = "The values are not those that were given."
  }
}

run "gives_the_service_the_applications_secret" {
  command = plan

  variables {
    database   = { host = "postgres.internal" }
    migrations = { directory = "tests/migrations", safe_after = "v1.1.0" }
  }

  assert {
    condition     = slipway_environment.this.database.host == "postgres.internal" && slipway_environment.this.database.name == "client-a-prod-db"
    error_message = "The environment does not say where its database is."
  }
  assert {
    condition     = contains(keys(slipway_release.app.values.database), "existingSecret") && slipway_release.app.values.database.port == 5432
    error_message = "The release has not the application's Secret, or lost other values."
  }
  assert {
    condition     = slipway_release.app.values.podAnnotations["slipway.dev/database-password"] == "1" && slipway_release.app.values.podAnnotations.team == "data"
    error_message = "New passwords would not start the pods again."
  }
  assert {
    condition     = slipway_migration.expand[0].kind == "expand" && slipway_migration.expand[0].credentials_secret.key == "DATABASE_URL"
    error_message = "The migrations are not those before the release."
  }
  assert {
    condition     = slipway_migration.contract[0].soak == "24h" && slipway_migration.contract[0].safe_after == "v1.1.0"
    error_message = "The clean-up does not wait."
  }
}

run "has_no_clean_up_where_no_file_is_one" {
  command = plan

  variables {
    database   = { host = "postgres.internal" }
    migrations = { directory = "tests/no-migrations", safe_after = "v1.1.0" }
  }

  assert {
    condition     = length(slipway_migration.expand) == 1 && length(slipway_migration.contract) == 0
    error_message = "A clean-up is planned that has no file."
  }
}

run "refuses_migrations_without_a_database" {
  command = plan

  variables {
    migrations = { directory = "migrations" }
  }

  expect_failures = [var.migrations]
}
