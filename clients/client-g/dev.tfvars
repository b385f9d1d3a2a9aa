# Workspace: client-g-dev. AWS account: 381474814746.
client      = "client-g"
stage       = "dev"
context     = "client-g-dev"
namespace   = "data-collection-client-g-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
