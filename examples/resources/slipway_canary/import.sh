# <kubeconfig context>/<namespace>/<split>
terraform import slipway_canary.app client-a-prod/data-collection-client-a/data-collection

# A split that was made by hand: a VirtualService or an HTTPRoute of this name, which becomes the resource's own.
# canary (or stable) is the name of a subset or of a Service, where these are not called "stable" and "canary".
terraform import slipway_canary.app 'client-a-prod/data-collection-client-a/data-collection?canary=v2'

# One route of a VirtualService that others own; with an HTTPRoute, http_route and rule, or rule_index.
terraform import slipway_canary.app 'client-a-prod/data-collection-client-a/data-collection?virtual_service=edge&route=primary&canary=v2'
