output "environment" {
  description = "The environment, to hand to further slipway resources."
  value       = slipway_environment.this
}

output "namespace" {
  description = "The client's namespace."
  value       = slipway_environment.this.namespace.name
}

output "release" {
  description = "What runs: name of the Helm release, version of the application, revision and status."
  value = {
    name     = slipway_release.app.name
    version  = slipway_release.app.version
    revision = slipway_release.app.revision
    status   = slipway_release.app.status
  }
}
