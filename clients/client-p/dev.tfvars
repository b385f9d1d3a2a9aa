# Workspace: client-p-dev. AWS account: 503687036865.
client      = "client-p"
stage       = "dev"
context     = "client-p-dev"
namespace   = "data-collection-client-p-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
