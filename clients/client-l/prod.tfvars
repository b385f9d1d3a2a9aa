# Workspace: client-l-prod. AWS account: 449370493701.
client      = "client-l"
stage       = "prod"
context     = "client-l-prod"
namespace   = "data-collection-client-l"
app_version = "v1.1.1"
