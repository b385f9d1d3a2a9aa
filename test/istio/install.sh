#!/usr/bin/env bash
# Installs Istio's and the Gateway API's resource definitions and, unless --crds-only is given, istiod in the cluster of
# KUBECONFIG. The image of istiod must be there (test/cluster-up.sh loads it). kubectl is taken from the PATH.
set -euo pipefail
cd "$(dirname "$0")/../../tools/istio"

go mod download istio.io/api sigs.k8s.io/gateway-api
istio=$(go list -m -f '{{.Dir}}' istio.io/api)/kubernetes/customresourcedefinitions.gen.yaml
gateway=$(go list -m -f '{{.Dir}}' sigs.k8s.io/gateway-api)/config/crd/standard
kubectl apply --server-side --filename "$istio" --filename "$gateway" >/dev/null
kubectl wait --for condition=Established --timeout 1m crd/virtualservices.networking.istio.io crd/httproutes.gateway.networking.k8s.io >/dev/null
if [[ ${1:-} == --crds-only ]]; then
	exit 0
fi
kubectl apply --filename ../../test/istio/istiod.yaml >/dev/null
kubectl --namespace istio-system rollout status deployment/istiod --timeout 3m
