# Workspace: client-h-dev. AWS account: 395053950537.
client      = "client-h"
stage       = "dev"
context     = "client-h-dev"
namespace   = "data-collection-client-h-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
