# Workspace: client-s-prod. AWS account: 544424444238.
client      = "client-s"
stage       = "prod"
context     = "client-s-prod"
namespace   = "data-collection-client-s"
app_version = "v1.1.1"
