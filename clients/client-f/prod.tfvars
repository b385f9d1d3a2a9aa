# Workspace: client-f-prod. AWS account: 367895678955.
client      = "client-f"
stage       = "prod"
context     = "client-f-prod"
namespace   = "data-collection-client-f"
app_version = "v1.1.1"
