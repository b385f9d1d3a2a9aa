# Workspace: client-d-staging. AWS account: 340737407373.
client      = "client-d"
stage       = "staging"
context     = "client-d-staging"
namespace   = "data-collection-client-d-staging"
app_version = "v1.2.0"
