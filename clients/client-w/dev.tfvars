# Workspace: client-w-dev. AWS account: 598740987402.
client      = "client-w"
stage       = "dev"
context     = "client-w-dev"
namespace   = "data-collection-client-w-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
