import {
  to = slipway_database.this
  id = "client-a-prod/data-collection-client-a/client-a-db" # <kubeconfig context>/<namespace>/<database>
}
