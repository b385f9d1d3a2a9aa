import {
  to = slipway_release.app
  id = "client-a-prod/data-collection-client-a/data-collection-service" # <kubeconfig context>/<namespace>/<release>
}
