# <kubeconfig context>/<namespace>/<live Service>
terraform import slipway_blue_green.app client-a-prod/data-collection-client-a/data-collection-service
