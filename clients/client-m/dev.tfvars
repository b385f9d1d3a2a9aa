# Workspace: client-m-dev. AWS account: 462949629492.
client      = "client-m"
stage       = "dev"
context     = "client-m-dev"
namespace   = "data-collection-client-m-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
