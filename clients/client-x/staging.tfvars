# Workspace: client-x-staging. AWS account: 612320123193.
client      = "client-x"
stage       = "staging"
context     = "client-x-staging"
namespace   = "data-collection-client-x-staging"
app_version = "v1.2.0"
