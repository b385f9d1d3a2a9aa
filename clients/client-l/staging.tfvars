# Workspace: client-l-staging. AWS account: 449370493701.
client      = "client-l"
stage       = "staging"
context     = "client-l-staging"
namespace   = "data-collection-client-l-staging"
app_version = "v1.2.0"
