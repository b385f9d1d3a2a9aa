# Workspace: client-j-dev. AWS account: 012345678901.
client      = "client-j"
stage       = "dev"
context     = "client-j-dev"
namespace   = "data-collection-client-j-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
