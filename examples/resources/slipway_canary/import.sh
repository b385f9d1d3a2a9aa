# <kubeconfig context>/<namespace>/<split>
terraform import slipway_canary.app client-a-prod/data-collection-client-a/data-collection
