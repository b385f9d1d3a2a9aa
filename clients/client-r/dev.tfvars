# Workspace: client-r-dev. AWS account: 530845308447.
client      = "client-r"
stage       = "dev"
context     = "client-r-dev"
namespace   = "data-collection-client-r-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
