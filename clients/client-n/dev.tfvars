# Workspace: client-n-dev. AWS account: 476528765283.
client      = "client-n"
stage       = "dev"
context     = "client-n-dev"
namespace   = "data-collection-client-n-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
