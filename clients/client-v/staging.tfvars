# Workspace: client-v-staging. AWS account: 585161851611.
client      = "client-v"
stage       = "staging"
context     = "client-v-staging"
namespace   = "data-collection-client-v-staging"
app_version = "v1.2.0"
