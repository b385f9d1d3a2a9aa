# <kubeconfig context>/<namespace>/<migration>
terraform import slipway_migration.expand client-a-prod/data-collection-client-a/expand
