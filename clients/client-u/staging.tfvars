# Workspace: client-u-staging. AWS account: 571582715820.
client      = "client-u"
stage       = "staging"
context     = "client-u-staging"
namespace   = "data-collection-client-u-staging"
app_version = "v1.2.0"
