# Workspace: client-o-prod. AWS account: 490107901074.
client      = "client-o"
stage       = "prod"
context     = "client-o-prod"
namespace   = "data-collection-client-o"
app_version = "v1.1.1"
