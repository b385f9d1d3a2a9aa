# The inputs of the module reach their resources.

mock_provider "slipway" {}

variables {
  workspace    = "client-a-prod"
  client       = "client-a"
  stage        = "prod"
  cluster      = { context = "client-a-prod" }
  namespace    = "data-collection-client-a"
  chart        = { path = "charts/data-collection-service" }
  app_version  = "v1.2.0"
  values_files = ["values.yaml", "values-client-a.yaml"]
  values       = { autoscaling = { maxReplicas = 50 } }
}

run "places_the_release_in_the_environment" {
  command = plan

  assert {
    condition     = slipway_environment.this.namespace.name == "data-collection-client-a"
    error_message = "The environment has another namespace."
  }
  assert {
    condition = (
      slipway_release.app.environment.client == "client-a" &&
      slipway_release.app.environment.stage == "prod" &&
      slipway_release.app.environment.cluster.context == "client-a-prod" &&
      slipway_release.app.environment.namespace.name == "data-collection-client-a"
    )
    error_message = "The release is not in the environment."
  }
  assert {
    condition     = output.namespace == "data-collection-client-a"
    error_message = "The output namespace is another one."
  }
}

run "passes_version_and_values_to_the_release" {
  command = plan

  assert {
    condition     = slipway_release.app.version == "v1.2.0"
    error_message = "The release has another version."
  }
  assert {
    condition     = slipway_release.app.values_files == tolist(["values.yaml", "values-client-a.yaml"])
    error_message = "The release has other values files."
  }
  assert {
    condition     = slipway_release.app.values.autoscaling.maxReplicas == 50
    error_message = "The release has other values."
  }
}

run "protects_the_environment_unless_told_otherwise" {
  command = plan

  assert {
    condition     = slipway_environment.this.deletion_protection
    error_message = "The environment is not protected."
  }
}

run "takes_the_protection_off" {
  command = plan

  variables {
    deletion_protection = false
  }

  assert {
    condition     = !slipway_environment.this.deletion_protection
    error_message = "The environment is still protected."
  }
}
