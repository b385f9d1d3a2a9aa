# Workspace: client-d-dev. AWS account: 340737407373.
client      = "client-d"
stage       = "dev"
context     = "client-d-dev"
namespace   = "data-collection-client-d-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
