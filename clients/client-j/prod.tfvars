# Workspace: client-j-prod. AWS account: 012345678901.
client      = "client-j"
stage       = "prod"
context     = "client-j-prod"
namespace   = "data-collection-client-j"
app_version = "v1.1.1"
