# Workspace: client-n-staging. AWS account: 476528765283.
client      = "client-n"
stage       = "staging"
context     = "client-n-staging"
namespace   = "data-collection-client-n-staging"
app_version = "v1.2.0"
