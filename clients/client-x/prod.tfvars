# Workspace: client-x-prod. AWS account: 612320123193.
client      = "client-x"
stage       = "prod"
context     = "client-x-prod"
namespace   = "data-collection-client-x"
app_version = "v1.1.1"
