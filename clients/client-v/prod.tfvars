# Workspace: client-v-prod. AWS account: 585161851611.
client      = "client-v"
stage       = "prod"
context     = "client-v-prod"
namespace   = "data-collection-client-v"
app_version = "v1.1.1"
