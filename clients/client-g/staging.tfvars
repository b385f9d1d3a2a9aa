# Workspace: client-g-staging. AWS account: 381474814746.
client      = "client-g"
stage       = "staging"
context     = "client-g-staging"
namespace   = "data-collection-client-g-staging"
app_version = "v1.2.0"
