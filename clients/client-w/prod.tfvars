# Workspace: client-w-prod. AWS account: 598740987402.
client      = "client-w"
stage       = "prod"
context     = "client-w-prod"
namespace   = "data-collection-client-w"
app_version = "v1.1.1"
