# Workspace: client-u-prod. AWS account: 571582715820.
client      = "client-u"
stage       = "prod"
context     = "client-u-prod"
namespace   = "data-collection-client-u"
app_version = "v1.1.1"
