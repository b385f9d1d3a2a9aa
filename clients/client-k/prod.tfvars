# Workspace: client-k-prod. AWS account: 435791357910.
client      = "client-k"
stage       = "prod"
context     = "client-k-prod"
namespace   = "data-collection-client-k"
app_version = "v1.1.1"
