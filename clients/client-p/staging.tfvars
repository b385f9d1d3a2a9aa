# Workspace: client-p-staging. AWS account: 503687036865.
client      = "client-p"
stage       = "staging"
context     = "client-p-staging"
namespace   = "data-collection-client-p-staging"
app_version = "v1.2.0"
