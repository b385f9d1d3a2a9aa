# Workspace: client-i-staging. AWS account: 408633086328.
client      = "client-i"
stage       = "staging"
context     = "client-i-staging"
namespace   = "data-collection-client-i-staging"
app_version = "v1.2.0"
