# Workspace: client-b-staging. AWS account: 222222222222.
client      = "client-b"
stage       = "staging"
context     = "client-b-staging"
namespace   = "data-collection-client-b-staging"
app_version = "v1.2.0"
