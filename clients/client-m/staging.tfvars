# Workspace: client-m-staging. AWS account: 462949629492.
client      = "client-m"
stage       = "staging"
context     = "client-m-staging"
namespace   = "data-collection-client-m-staging"
app_version = "v1.2.0"
