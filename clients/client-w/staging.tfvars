# Workspace: client-w-staging. AWS account: 598740987402.
client      = "client-w"
stage       = "staging"
context     = "client-w-staging"
namespace   = "data-collection-client-w-staging"
app_version = "v1.2.0"
