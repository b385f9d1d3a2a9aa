# Workspace: client-t-prod. AWS account: 558003580029.
client      = "client-t"
stage       = "prod"
context     = "client-t-prod"
namespace   = "data-collection-client-t"
app_version = "v1.1.1"
