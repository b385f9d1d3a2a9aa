# Workspace: client-q-dev. AWS account: 517266172656.
client      = "client-q"
stage       = "dev"
context     = "client-q-dev"
namespace   = "data-collection-client-q-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
