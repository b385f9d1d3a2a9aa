# A stack can only be planned in the workspace of its client and stage. No cluster is needed: the provider is mocked.

mock_provider "slipway" {}

variables {
  client      = "client-a"
  stage       = "prod"
  cluster     = { context = "client-a-prod" }
  namespace   = "data-collection-client-a"
  chart       = { path = "charts/data-collection-service" }
  app_version = "v1.2.0"
}

run "accepts_the_workspace_of_its_client_and_stage" {
  command = plan

  variables {
    workspace = "client-a-prod"
  }
}

run "refuses_the_workspace_of_another_client" {
  command = plan

  variables {
    workspace = "client-b-prod"
  }

  expect_failures = [slipway_environment.this]
}

run "refuses_the_workspace_of_another_stage" {
  command = plan

  variables {
    workspace = "client-a-staging"
  }

  expect_failures = [slipway_environment.this]
}

# Tests run in the workspace "default", which is no client's.
run "takes_the_selected_workspace_where_none_is_given" {
  command = plan

  expect_failures = [slipway_environment.this]
}
