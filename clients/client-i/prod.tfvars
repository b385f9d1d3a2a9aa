# Workspace: client-i-prod. AWS account: 408633086328.
client      = "client-i"
stage       = "prod"
context     = "client-i-prod"
namespace   = "data-collection-client-i"
app_version = "v1.1.1"
