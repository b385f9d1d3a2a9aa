#!/usr/bin/env bash
# Starts the local Kubernetes NAME with what the tests need in it: the sample service's images, the migration runner's, a
# Prometheus and an istiod. PROGRAMS is a directory with the programs build, cluster and image, which are built where none is
# given.
#
#     test/cluster-up.sh NAME [PROGRAMS]
set -euo pipefail
cd "$(dirname "$0")/.."

name=$1
programs=${2:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [[ -z $programs ]]; then
	programs=$work
	go build -o "$programs/" ./test/cluster/cmd/build ./test/cluster/cmd/cluster ./test/image/cmd/image
fi
cluster=$programs/cluster
image=$programs/image

# Version v1.2.1 is a bad release: every fifth request fails.
"$image" data-collection --version v1.1.1 --version v1.2.0 --version v1.2.1:ERROR_SHARE=0.2 --out "$work/data-collection.tar" >/dev/null
"$image" slipway-migrate --version v0.1.0 --out "$work/slipway-migrate.tar" >/dev/null
"$image" prometheus --out "$work/prometheus.tar" >/dev/null
istio=$("$programs/build" istio)
"$image" istiod --program "$istio/pilot-discovery" --out "$work/istiod.tar" >/dev/null
"$cluster" up --name "$name"
"$cluster" load --name "$name" "$work/data-collection.tar" "$work/slipway-migrate.tar" "$work/prometheus.tar" "$work/istiod.tar"
KUBECONFIG=$("$cluster" kubeconfig --name "$name") PATH=$("$cluster" bin --name "$name"):$PATH
export KUBECONFIG PATH
kubectl apply --filename test/prometheus/prometheus.yaml >/dev/null
test/istio/install.sh
kubectl --namespace monitoring rollout status deployment/prometheus --timeout 2m
