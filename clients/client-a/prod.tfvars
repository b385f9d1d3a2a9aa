# Workspace: client-a-prod. AWS account: 111111111111.
client      = "client-a"
stage       = "prod"
context     = "client-a-prod"
namespace   = "data-collection-client-a"
app_version = "v1.1.1"
