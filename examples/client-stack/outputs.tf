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

output "database" {
  description = "The client's database: its name, and the Secrets in the namespace with the credentials of its owner and of the application. Null where there is none."
  value = one([for d in slipway_database.this : {
    name         = d.name
    owner_secret = d.owner_secret
    app_secret   = d.app_secret
  }])
}
