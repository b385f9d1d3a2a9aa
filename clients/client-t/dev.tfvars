# Workspace: client-t-dev. AWS account: 558003580029.
client      = "client-t"
stage       = "dev"
context     = "client-t-dev"
namespace   = "data-collection-client-t-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
