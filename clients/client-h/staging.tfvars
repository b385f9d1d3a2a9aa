# Workspace: client-h-staging. AWS account: 395053950537.
client      = "client-h"
stage       = "staging"
context     = "client-h-staging"
namespace   = "data-collection-client-h-staging"
app_version = "v1.2.0"
