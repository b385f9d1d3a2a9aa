# Workspace: client-c-dev. AWS account: 327158271582.
client      = "client-c"
stage       = "dev"
context     = "client-c-dev"
namespace   = "data-collection-client-c-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
