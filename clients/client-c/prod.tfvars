# Workspace: client-c-prod. AWS account: 327158271582.
client      = "client-c"
stage       = "prod"
context     = "client-c-prod"
namespace   = "data-collection-client-c"
app_version = "v1.2.0"
