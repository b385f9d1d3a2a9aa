# Workspace: client-j-staging. AWS account: 012345678901.
client      = "client-j"
stage       = "staging"
context     = "client-j-staging"
namespace   = "data-collection-client-j-staging"
app_version = "v1.2.0"
