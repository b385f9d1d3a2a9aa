# Inputs that Terraform accepts, or reports later and less clearly.

mock_provider "slipway" {}

variables {
  workspace   = "client-a-prod"
  client      = "client-a"
  stage       = "prod"
  cluster     = { context = "client-a-prod" }
  namespace   = "data-collection-client-a"
  chart       = { path = "charts/data-collection-service" }
  app_version = "v1.2.0"
}

run "refuses_a_misspelled_cluster" {
  command = plan

  variables {
    cluster = { contxt = "client-a-prod" }
  }

  expect_failures = [var.cluster]
}

run "refuses_two_clusters" {
  command = plan

  variables {
    cluster = {
      context = "client-a-prod"
      eks     = { name = "client-a-prod", region = "eu-central-1", account_id = "111111111111" }
    }
  }

  expect_failures = [var.cluster]
}

run "refuses_a_stage_with_a_hyphen" {
  command = plan

  variables {
    workspace = "client-a-pre-prod"
    stage     = "pre-prod"
  }

  expect_failures = [var.stage]
}

run "refuses_a_chart_from_two_places" {
  command = plan

  variables {
    chart = {
      path       = "charts/data-collection-service"
      repository = "oci://registry.company.com/charts"
    }
  }

  expect_failures = [var.chart]
}

run "refuses_a_chart_without_version" {
  command = plan

  variables {
    chart = {
      repository = "oci://registry.company.com/charts"
      name       = "data-collection-service"
    }
  }

  expect_failures = [var.chart]
}
