# Workspace: client-q-staging. AWS account: 517266172656.
client      = "client-q"
stage       = "staging"
context     = "client-q-staging"
namespace   = "data-collection-client-q-staging"
app_version = "v1.2.0"
