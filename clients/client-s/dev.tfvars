# Workspace: client-s-dev. AWS account: 544424444238.
client      = "client-s"
stage       = "dev"
context     = "client-s-dev"
namespace   = "data-collection-client-s-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
