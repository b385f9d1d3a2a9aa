# Workspace: client-h-prod. AWS account: 395053950537.
client      = "client-h"
stage       = "prod"
context     = "client-h-prod"
namespace   = "data-collection-client-h"
app_version = "v1.1.1"
