# Workspace: client-t-staging. AWS account: 558003580029.
client      = "client-t"
stage       = "staging"
context     = "client-t-staging"
namespace   = "data-collection-client-t-staging"
app_version = "v1.2.0"
