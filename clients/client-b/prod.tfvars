# Workspace: client-b-prod. AWS account: 222222222222.
client      = "client-b"
stage       = "prod"
context     = "client-b-prod"
namespace   = "data-collection-client-b"
app_version = "v1.1.1"
