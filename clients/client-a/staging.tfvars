# Workspace: client-a-staging. AWS account: 111111111111.
client      = "client-a"
stage       = "staging"
context     = "client-a-staging"
namespace   = "data-collection-client-a-staging"
app_version = "v1.2.0"
