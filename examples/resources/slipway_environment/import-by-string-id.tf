import {
  to = slipway_environment.this
  id = "client-a-prod/data-collection-client-a" # <kubeconfig context>/<namespace>
}
