# Workspace: client-o-dev. AWS account: 490107901074.
client      = "client-o"
stage       = "dev"
context     = "client-o-dev"
namespace   = "data-collection-client-o-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
