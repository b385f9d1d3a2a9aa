# Workspace: client-s-staging. AWS account: 544424444238.
client      = "client-s"
stage       = "staging"
context     = "client-s-staging"
namespace   = "data-collection-client-s-staging"
app_version = "v1.2.0"
