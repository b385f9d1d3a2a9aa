# Workspace: client-d-prod. AWS account: 340737407373.
client      = "client-d"
stage       = "prod"
context     = "client-d-prod"
namespace   = "data-collection-client-d"
app_version = "v1.1.1"
