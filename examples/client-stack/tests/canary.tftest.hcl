# A canary next to the stable version, and its share of the calls.

mock_provider "slipway" {}

variables {
  workspace   = "client-a-prod"
  client      = "client-a"
  stage       = "prod"
  cluster     = { context = "client-a-prod" }
  namespace   = "data-collection-client-a"
  chart       = { path = "charts/data-collection-service" }
  app_version = "v1.1.1"
  values      = { autoscaling = { maxReplicas = 50 }, image = { tag = "v1.1.1", pullPolicy = "Always" } }
}

run "rolling_has_no_canary" {
  command = plan

  assert {
    condition     = length(slipway_release.canary) == 0 && length(slipway_canary.app) == 0
    error_message = "There is a canary."
  }
}

run "the_strategy_begins_with_a_split_alone" {
  command = plan

  variables {
    strategy = "canary"
  }

  assert {
    condition     = length(slipway_release.canary) == 0 && length(slipway_blue_green.app) == 0
    error_message = "A second track is there without a version."
  }
  assert {
    condition = (
      slipway_canary.app[0].weight == 0 &&
      slipway_canary.app[0].headers == null &&
      slipway_canary.app[0].istio[0].host == "data-collection-service" &&
      length(slipway_canary.app[0].analysis) == 0
    )
    error_message = "The split is not all for the release that was there before."
  }
  assert {
    condition     = try(slipway_release.app.values.slipway, null) == null
    error_message = "The values of the release that was there before are others, so that its pods would start anew."
  }
  assert {
    condition     = length(slipway_release.app.analysis) == 1
    error_message = "A version that is released without a canary is not watched."
  }
}

run "a_tenth_of_the_calls" {
  command = plan

  variables {
    strategy   = "canary"
    canary     = { version = "v1.2.0", weight = 10 }
    prometheus = {}
  }

  assert {
    condition = (
      slipway_release.canary[0].name == "data-collection-service-canary" &&
      slipway_release.canary[0].version == "v1.2.0" &&
      slipway_release.canary[0].values.slipway == { role = "track", app = "data-collection-service", track = "canary" } &&
      slipway_release.canary[0].values.image == { pullPolicy = "Always" } &&
      slipway_release.canary[0].values.autoscaling.maxReplicas == 50
    )
    error_message = "The canary is not a track of the application with the client's values."
  }
  assert {
    condition = (
      slipway_release.app.version == "v1.1.1" &&
      slipway_canary.app[0].weight == 10 &&
      slipway_canary.app[0].headers == tomap({ canary = "true" })
    )
    error_message = "The split is another one."
  }
  assert {
    condition = (
      slipway_canary.app[0].analysis[0].duration == "10m" &&
      slipway_canary.app[0].analysis[0].metric[0].above == 0.05 &&
      slipway_canary.app[0].analysis[0].metric[0].query == "(sum(rate(http_requests_total{namespace='{{namespace}}',pod=~'data-collection-service-canary-.+',code=~'5..'}[1m])) or vector(0)) / sum(rate(http_requests_total{namespace='{{namespace}}',pod=~'data-collection-service-canary-.+'}[1m]))"
    )
    error_message = "The canary is not analyzed by the calls that it answers."
  }
  assert {
    condition     = length(slipway_canary.app[0].analysis[0].metric) == 1 && length(slipway_canary.app[0].analysis[0].sample_ratio) == 0
    error_message = "The canary is compared with stable although nobody asked for it."
  }
}

run "compares_the_canary_with_stable" {
  command = plan

  variables {
    strategy   = "canary"
    canary     = { version = "v1.2.0", weight = 10 }
    prometheus = {}
    analysis   = { error_rate = { max_ratio = 1.5, max_difference = 0.005 }, sample_ratio = true }
  }

  assert {
    condition = (
      length(slipway_canary.app[0].analysis[0].metric) == 2 &&
      slipway_canary.app[0].analysis[0].metric[1].above == null &&
      slipway_canary.app[0].analysis[0].metric[1].for == "2m" &&
      slipway_canary.app[0].analysis[0].metric[1].baseline[0].max_ratio == 1.5 &&
      slipway_canary.app[0].analysis[0].metric[1].baseline[0].max_difference == 0.005 &&
      slipway_canary.app[0].analysis[0].metric[1].baseline[0].query == "(sum(rate(http_requests_total{namespace='{{namespace}}',pod!~'data-collection-service-canary-.+',code=~'5..'}[1m])) or vector(0)) / sum(rate(http_requests_total{namespace='{{namespace}}',pod!~'data-collection-service-canary-.+'}[1m]))"
    )
    error_message = "The canary's errors are not compared with those of stable."
  }
  assert {
    condition = (
      slipway_canary.app[0].analysis[0].sample_ratio[0].canary_query == "sum(increase(http_requests_total{namespace='{{namespace}}',pod=~'data-collection-service-canary-.+'}[1m]))" &&
      slipway_canary.app[0].analysis[0].sample_ratio[0].stable_query == "sum(increase(http_requests_total{namespace='{{namespace}}',pod!~'data-collection-service-canary-.+'}[1m]))"
    )
    error_message = "The canary's share of the requests is not compared with its weight."
  }
}

run "testers_alone_are_not_analyzed" {
  command = plan

  variables {
    strategy = "canary"
    canary   = { version = "v1.2.0" }
  }

  assert {
    condition     = slipway_canary.app[0].weight == 0 && length(slipway_canary.app[0].analysis) == 0 && length(slipway_canary.app[0].headers) == 1
    error_message = "A canary that only calls with the header reach is analyzed, or they do not reach it."
  }
}

run "shifts_in_the_steps_of_the_configuration" {
  command = plan

  variables {
    strategy = "canary"
    canary = {
      version = "v1.2.0"
      weight  = 100
      headers = {}
      steps   = [{ weight = 10, pause = "1m" }, { weight = 50 }]
      istio   = { hosts = ["collect.example.com"], gateways = ["infra/public", "mesh"] }
    }
    analysis   = { error_rate = { canary_query = "sum(rate(errors{release='{{canary}}'}[{{window}}]))", canary_requests_query = "sum(increase(calls[{{window}}]))" } }
    prometheus = {}
  }

  assert {
    condition     = [for s in slipway_canary.app[0].step : s.weight] == [10, 50] && slipway_canary.app[0].step[0].pause == "1m"
    error_message = "The steps are other ones."
  }
  assert {
    condition = (
      slipway_canary.app[0].analysis[0].metric[0].query == "sum(rate(errors{release='data-collection-service-canary'}[1m]))" &&
      slipway_canary.app[0].analysis[0].metric[0].requests_query == "sum(increase(calls[1m]))" &&
      slipway_canary.app[0].istio[0].gateways == tolist(["infra/public", "mesh"])
    )
    error_message = "Queries or gateways are other ones."
  }
}

run "dev_moves_without_watching" {
  command = plan

  variables {
    workspace = "client-a-dev"
    stage     = "dev"
    strategy  = "canary"
    canary    = { version = "v1.2.0", weight = 50 }
  }

  assert {
    condition     = length(slipway_canary.app[0].analysis) == 0
    error_message = "A canary in dev is analyzed."
  }
}

run "refuses_a_share_for_nobody" {
  command = plan

  variables {
    strategy = "canary"
    canary   = { weight = 10 }
  }

  expect_failures = [var.canary]
}

run "refuses_more_than_all_calls" {
  command = plan

  variables {
    strategy = "canary"
    canary   = { version = "v1.2.0", weight = 101 }
  }

  expect_failures = [var.canary]
}

run "refuses_half_a_percent" {
  command = plan

  variables {
    strategy = "canary"
    canary   = { version = "v1.2.0", weight = 0.5 }
  }

  expect_failures = [var.canary]
}

run "refuses_a_canary_under_another_strategy" {
  command = plan

  variables {
    strategy = "blue_green"
    canary   = { version = "v1.2.0" }
  }

  expect_failures = [var.canary]
}
