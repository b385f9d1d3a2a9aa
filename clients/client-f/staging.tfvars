# Workspace: client-f-staging. AWS account: 367895678955.
client      = "client-f"
stage       = "staging"
context     = "client-f-staging"
namespace   = "data-collection-client-f-staging"
app_version = "v1.2.0"
