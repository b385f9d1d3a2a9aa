# <kubeconfig context>/<namespace>/<database>
terraform import slipway_database.this client-a-prod/data-collection-client-a/client-a-db
