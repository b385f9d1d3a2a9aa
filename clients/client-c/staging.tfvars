# Workspace: client-c-staging. AWS account: 327158271582.
client      = "client-c"
stage       = "staging"
context     = "client-c-staging"
namespace   = "data-collection-client-c-staging"
app_version = "v1.2.0"
