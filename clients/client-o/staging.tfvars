# Workspace: client-o-staging. AWS account: 490107901074.
client      = "client-o"
stage       = "staging"
context     = "client-o-staging"
namespace   = "data-collection-client-o-staging"
app_version = "v1.2.0"
