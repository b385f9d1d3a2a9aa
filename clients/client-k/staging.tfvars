# Workspace: client-k-staging. AWS account: 435791357910.
client      = "client-k"
stage       = "staging"
context     = "client-k-staging"
namespace   = "data-collection-client-k-staging"
app_version = "v1.2.0"
