# Workspace: client-f-dev. AWS account: 367895678955.
client      = "client-f"
stage       = "dev"
context     = "client-f-dev"
namespace   = "data-collection-client-f-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
