# Workspace: client-e-dev. AWS account: 354316543164.
client      = "client-e"
stage       = "dev"
context     = "client-e-dev"
namespace   = "data-collection-client-e-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
