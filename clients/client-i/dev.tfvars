# Workspace: client-i-dev. AWS account: 408633086328.
client      = "client-i"
stage       = "dev"
context     = "client-i-dev"
namespace   = "data-collection-client-i-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
