# Workspace: client-x-dev. AWS account: 612320123193.
client      = "client-x"
stage       = "dev"
context     = "client-x-dev"
namespace   = "data-collection-client-x-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
