# Workspace: client-a-dev. AWS account: 111111111111.
client      = "client-a"
stage       = "dev"
context     = "client-a-dev"
namespace   = "data-collection-client-a-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
