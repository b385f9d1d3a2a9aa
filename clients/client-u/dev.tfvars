# Workspace: client-u-dev. AWS account: 571582715820.
client      = "client-u"
stage       = "dev"
context     = "client-u-dev"
namespace   = "data-collection-client-u-dev"
app_version = "v1.2.0"

# A development environment may be taken down at any time.
deletion_protection = false
