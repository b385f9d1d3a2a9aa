# <kubeconfig context>/<namespace>/<release>
terraform import slipway_release.app client-a-prod/data-collection-client-a/data-collection-service
