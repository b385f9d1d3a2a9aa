# Two colors side by side, and which one has the traffic.

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

run "rolling_has_one_track" {
  command = plan

  assert {
    condition     = length(slipway_release.green) == 0 && length(slipway_blue_green.app) == 0
    error_message = "There is a second color."
  }
  assert {
    condition     = length(slipway_release.app.analysis) == 1
    error_message = "The release is not watched."
  }
}

run "blue_green_begins_with_blue" {
  command = plan

  variables {
    strategy = "blue_green"
  }

  assert {
    condition     = length(slipway_release.green) == 0
    error_message = "Green is there without a version."
  }
  assert {
    condition = (
      slipway_blue_green.app[0].service == "data-collection-service" &&
      slipway_blue_green.app[0].active == "blue" &&
      slipway_blue_green.app[0].blue_value == "stable"
    )
    error_message = "Blue is not the release that was there before."
  }
  assert {
    condition     = try(slipway_release.app.values.slipway, null) == null
    error_message = "The values of the release that was there before are others, so that its pods would start anew."
  }
}

run "switches_to_green" {
  command = plan

  variables {
    strategy   = "blue_green"
    blue_green = { active = "green", green = "v1.2.0", keep_previous = "24h" }
    prometheus = {}
  }

  assert {
    condition = (
      slipway_release.green[0].name == "data-collection-service-green" &&
      slipway_release.green[0].version == "v1.2.0" &&
      slipway_release.green[0].values.slipway == { role = "track", app = "data-collection-service", track = "green" } &&
      slipway_release.green[0].values.image == { pullPolicy = "Always" } &&
      slipway_release.green[0].values.autoscaling.maxReplicas == 50
    )
    error_message = "Green is not a track of the application with the client's values."
  }
  assert {
    condition = (
      slipway_release.app.version == "v1.1.1" &&
      slipway_blue_green.app[0].active == "green" &&
      slipway_blue_green.app[0].keep_previous == "24h"
    )
    error_message = "Green is not live, or blue is not what it was."
  }
  assert {
    condition = (
      length(slipway_release.app.analysis) == 0 &&
      slipway_blue_green.app[0].preview_analysis[0].duration == "30s" &&
      slipway_blue_green.app[0].analysis[0].duration == "10m" &&
      slipway_blue_green.app[0].analysis[0].metric[0].above == 0.05
    )
    error_message = "The switch is not analyzed as the stage asks for."
  }
}

run "dev_switches_without_watching" {
  command = plan

  variables {
    workspace  = "client-a-dev"
    stage      = "dev"
    strategy   = "blue_green"
    blue_green = { active = "green", green = "v1.2.0" }
  }

  assert {
    condition     = length(slipway_blue_green.app[0].preview_analysis) + length(slipway_blue_green.app[0].analysis) == 0
    error_message = "A switch in dev is analyzed."
  }
}

run "refuses_a_live_green_without_a_version" {
  command = plan

  variables {
    strategy   = "blue_green"
    blue_green = { active = "green" }
  }

  expect_failures = [slipway_blue_green.app]
}

run "refuses_a_color_that_is_none" {
  command = plan

  variables {
    strategy   = "blue_green"
    blue_green = { active = "red" }
  }

  expect_failures = [var.blue_green]
}

run "refuses_a_strategy_that_is_none" {
  command = plan

  variables {
    strategy = "recreate"
  }

  expect_failures = [var.strategy]
}
