# Workspace: client-e-prod. AWS account: 354316543164.
client      = "client-e"
stage       = "prod"
context     = "client-e-prod"
namespace   = "data-collection-client-e"
app_version = "v1.1.1"
