# Workspace: client-r-prod. AWS account: 530845308447.
client      = "client-r"
stage       = "prod"
context     = "client-r-prod"
namespace   = "data-collection-client-r"
app_version = "v1.1.1"
