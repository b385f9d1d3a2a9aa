import {
  to = slipway_migration.expand
  id = "client-a-prod/data-collection-client-a/expand" # <kubeconfig context>/<namespace>/<migration>
}
