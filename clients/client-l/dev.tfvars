# Workspace: client-l-dev. AWS account: 449370493701.
client      = "client-l"
stage       = "dev"
context     = "client-l-dev"
namespace   = "data-collection-client-l-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
