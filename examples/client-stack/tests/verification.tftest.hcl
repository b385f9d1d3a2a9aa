# A new version is verified as its stage requires.

mock_provider "slipway" {}

variables {
  workspace   = "client-a-prod"
  client      = "client-a"
  stage       = "prod"
  cluster     = { context = "client-a-prod" }
  namespace   = "data-collection-client-a"
  chart       = { path = "charts/data-collection-service" }
  app_version = "v1.2.0"
  prometheus  = {}
}

run "prod_has_the_triggers_of_the_strategy" {
  command = plan

  assert {
    condition = (
      slipway_release.app.analysis[0].duration == "10m" &&
      slipway_release.app.analysis[0].health[0].consecutive_failures == 3
    )
    error_message = "The release is not watched for 10 minutes with 3 tolerated health failures."
  }
  assert {
    condition = (
      slipway_release.app.analysis[0].metric[0].above == 0.05 &&
      slipway_release.app.analysis[0].metric[0].for == "2m" &&
      slipway_release.app.analysis[0].metric[0].min_requests == 20
    )
    error_message = "The error rate is not limited to 5% for 2 minutes."
  }
  assert {
    condition     = slipway_release.app.analysis[0].metric[0].query == "(sum(rate(http_requests_total{namespace='{{namespace}}',code=~'5..'}[1m])) or vector(0)) / sum(rate(http_requests_total{namespace='{{namespace}}'}[1m]))"
    error_message = "The query is ${slipway_release.app.analysis[0].metric[0].query}."
  }
  assert {
    condition = (
      slipway_release.app.analysis[0].prometheus[0].service[0].namespace == "monitoring" &&
      slipway_release.app.analysis[0].prometheus[0].service[0].name == "prometheus" &&
      slipway_release.app.analysis[0].prometheus[0].service[0].port == "9090"
    )
    error_message = "Prometheus is not asked through its Service."
  }
  assert {
    condition     = length(slipway_release.app.smoke_test) == 1 && length(slipway_release.app.smoke_test[0].helm_test) == 1
    error_message = "The chart's own tests are not run."
  }
  assert {
    condition     = length(slipway_release.app.rollback) == 1 && slipway_release.app.rollback[0].validation == "2m"
    error_message = "There is no rollback with a validation of 2 minutes."
  }
  assert {
    condition     = length(slipway_release.app.acceptance) == 0
    error_message = "There is an acceptance gate."
  }
}

run "a_stage_of_another_name_is_verified_like_prod" {
  command = plan

  variables {
    workspace = "client-a-live"
    stage     = "live"
  }

  assert {
    condition     = slipway_release.app.analysis[0].metric[0].for == "2m"
    error_message = "The stage is not verified like prod."
  }
}

run "staging_is_watched_for_less" {
  command = plan

  variables {
    workspace = "client-a-staging"
    stage     = "staging"
  }

  assert {
    condition = (
      slipway_release.app.analysis[0].duration == "3m" &&
      slipway_release.app.analysis[0].metric[0].for == "1m" &&
      slipway_release.app.rollback[0].validation == "1m"
    )
    error_message = "Staging is not watched for 3 minutes."
  }
}

run "dev_keeps_what_fails" {
  command = plan

  variables {
    workspace = "client-a-dev"
    stage     = "dev"
  }

  assert {
    condition     = length(slipway_release.app.analysis) + length(slipway_release.app.smoke_test) + length(slipway_release.app.rollback) == 0
    error_message = "A release in dev is verified."
  }
}

run "watches_only_health_without_prometheus" {
  command = plan

  variables {
    prometheus = null
  }

  assert {
    condition     = length(slipway_release.app.analysis[0].metric) + length(slipway_release.app.analysis[0].prometheus) == 0
    error_message = "There is a metric and nobody to ask."
  }
  assert {
    condition     = length(slipway_release.app.analysis[0].health[0].pods) == 1
    error_message = "The pods are not watched."
  }
}

run "takes_what_it_is_told" {
  command = plan

  variables {
    prometheus  = { url = "https://prometheus.company.com" }
    analysis    = { duration = "20s", interval = "1s", error_rate = { lasting = "5s", window = "5s", above = 0.1 } }
    smoke_tests = [{ name = "version", http = { service = "data-collection-service", port = "http", path = "/version" } }]
    acceptance  = { image = "registry.company.com/acceptance:v1", args = ["--quick"] }
    rollback    = null
    retry_token = "the queue is back"
  }

  assert {
    condition = (
      slipway_release.app.analysis[0].prometheus[0].url == "https://prometheus.company.com" &&
      length(slipway_release.app.analysis[0].prometheus[0].service) == 0 &&
      slipway_release.app.analysis[0].duration == "20s" &&
      slipway_release.app.analysis[0].metric[0].for == "5s" &&
      slipway_release.app.analysis[0].metric[0].above == 0.1 &&
      strcontains(slipway_release.app.analysis[0].metric[0].requests_query, "[5s]")
    )
    error_message = "The analysis is another one."
  }
  assert {
    condition = (
      slipway_release.app.smoke_test[0].http[0].service[0].path == "/version" &&
      slipway_release.app.acceptance[0].job[0].image == "registry.company.com/acceptance:v1" &&
      slipway_release.app.acceptance[0].timeout == "5m" &&
      length(slipway_release.app.rollback) == 0 &&
      slipway_release.app.retry_token == "the queue is back"
    )
    error_message = "Tests, acceptance, rollback or retry_token are other ones."
  }
}

run "refuses_a_smoke_test_of_two_kinds" {
  command = plan

  variables {
    smoke_tests = [{ name = "both", helm_test = true, http = { service = "s", port = "80" } }]
  }

  expect_failures = [var.smoke_tests]
}
