# <kubeconfig context>/<namespace>
terraform import slipway_environment.this client-a-prod/data-collection-client-a
