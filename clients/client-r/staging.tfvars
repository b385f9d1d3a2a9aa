# Workspace: client-r-staging. AWS account: 530845308447.
client      = "client-r"
stage       = "staging"
context     = "client-r-staging"
namespace   = "data-collection-client-r-staging"
app_version = "v1.2.0"
