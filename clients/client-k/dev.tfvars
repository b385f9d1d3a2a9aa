# Workspace: client-k-dev. AWS account: 435791357910.
client      = "client-k"
stage       = "dev"
context     = "client-k-dev"
namespace   = "data-collection-client-k-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
