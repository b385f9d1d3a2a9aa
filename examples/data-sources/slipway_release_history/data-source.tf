data "slipway_release_history" "app" {
  environment = slipway_environment.this
  name        = "data-collection-service"
  limit       = 10
}

output "failed_releases" {
  description = "What did not pass, and why."
  value = [
    for r in data.slipway_release_history.app.revisions :
    "${coalesce(r.version, "no version")} (revision ${r.revision}): ${r.stage}, ${coalesce(r.reason, "no reason is known")}" if r.stage != null
  ]
}
