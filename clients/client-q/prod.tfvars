# Workspace: client-q-prod. AWS account: 517266172656.
client      = "client-q"
stage       = "prod"
context     = "client-q-prod"
namespace   = "data-collection-client-q"
app_version = "v1.2.0"
