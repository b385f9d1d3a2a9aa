# Workspace: client-p-prod. AWS account: 503687036865.
client      = "client-p"
stage       = "prod"
context     = "client-p-prod"
namespace   = "data-collection-client-p"
app_version = "v1.1.1"
