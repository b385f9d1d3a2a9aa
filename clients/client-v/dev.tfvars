# Workspace: client-v-dev. AWS account: 585161851611.
client      = "client-v"
stage       = "dev"
context     = "client-v-dev"
namespace   = "data-collection-client-v-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
