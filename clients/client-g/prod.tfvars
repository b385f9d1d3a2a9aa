# Workspace: client-g-prod. AWS account: 381474814746.
client      = "client-g"
stage       = "prod"
context     = "client-g-prod"
namespace   = "data-collection-client-g"
app_version = "v1.1.1"
