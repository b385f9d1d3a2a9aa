# Workspace: client-b-dev. AWS account: 222222222222.
client      = "client-b"
stage       = "dev"
context     = "client-b-dev"
namespace   = "data-collection-client-b-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
