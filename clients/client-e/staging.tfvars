# Workspace: client-e-staging. AWS account: 354316543164.
client      = "client-e"
stage       = "staging"
context     = "client-e-staging"
namespace   = "data-collection-client-e-staging"
app_version = "v1.2.0"
