# Workspace: client-m-prod. AWS account: 462949629492.
client      = "client-m"
stage       = "prod"
context     = "client-m-prod"
namespace   = "data-collection-client-m"
app_version = "v1.1.1"
