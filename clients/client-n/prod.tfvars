# Workspace: client-n-prod. AWS account: 476528765283.
client      = "client-n"
stage       = "prod"
context     = "client-n-prod"
namespace   = "data-collection-client-n"
app_version = "v1.1.1"
