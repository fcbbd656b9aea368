#!/usr/bin/env bash
# up.sh CLUSTER: puts a gateway and the images of the application for releases into a cluster, and waits until it serves.
# What is there already stays.
#
#   GATEWAY=traefik|envoy   default traefik; both may be in one cluster
#   ENGINE=docker|podman    default: Docker where it answers, else Podman as root on Debian
#   KUBECONFIG_CLUSTER=1    the cluster of the current kubeconfig context
set -euo pipefail
# shellcheck source=../cluster/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../cluster/lib.sh"
# shellcheck source=../cluster/load.sh
source "$cluster_dir/load.sh"

here=$repo/e2e/gateway
ready_timeout=120 # seconds until a new gateway serves; about 10 on two cores

(($# == 1)) || die "usage: [GATEWAY=traefik|envoy] up.sh CLUSTER"
cluster=$1
gateway=${GATEWAY:-traefik}
[[ $gateway == traefik || $gateway == envoy ]] || die "GATEWAY=$gateway: traefik or envoy."
kubeconfig=$out/kube/$cluster.kubeconfig
[[ -s $kubeconfig ]] || die "There is no $kubeconfig; CLUSTERS=$cluster e2e/cluster/up.sh makes the cluster."

kubectl() { "$out/bin/kubectl" --kubeconfig "$kubeconfig" "$@"; }

apply() { kubectl apply --server-side --force-conflicts --filename "$@"; }

helm() { "$out/bin/helm" --kubeconfig "$kubeconfig" "$@"; }

# install_crds FOLDER: applies CRDs and waits until they are served.
install_crds() {
  apply "$1"
  kubectl wait --for condition=Established --timeout 60s customresourcedefinition --all
}

traefik() {
  # shellcheck disable=SC2154 # of gateway.env
  sed "s|IMAGE|$TRAEFIK|" "$here/traefik/traefik.yaml" | apply -
  kubectl --namespace traefik rollout status deployment/traefik --timeout "${ready_timeout}s"
}

envoy() {
  local module key description
  module=$(cd "$here/envoy" && go mod download github.com/envoyproxy/gateway && go list -mod=readonly -m -f '{{.Dir}}' github.com/envoyproxy/gateway)
  install_crds "$module/charts/gateway-helm/charts/crds/crds/generated"
  # shellcheck disable=SC2154 # of gateway.env
  key=$(digest -s "$ENVOY" -s "$module" "$here/envoy/values.yaml")
  description=$(helm status envoy-gateway --namespace envoy --output json 2>/dev/null | grep -o '"description":"[^"]*"' || true)
  if [[ $description != "\"description\":\"$key\"" ]]; then
    sed "s|IMAGE|$ENVOY|" "$here/envoy/values.yaml" |
      helm upgrade --install envoy-gateway "$module/charts/gateway-helm" --namespace envoy --create-namespace --description "$key" \
        --values "$module/charts/gateway-helm/values.tmpl.yaml" --values - --wait --timeout "${ready_timeout}s"
  fi
  sed "s|IMAGE|$ENVOY|" "$here/envoy/envoy.yaml" | apply -
}

start=$SECONDS
engine=$(engine)
"$here/images.sh" app "$gateway"
# shellcheck disable=SC1091
source "$out/gateway.env"
# shellcheck disable=SC2154 # of gateway.env
if [[ $gateway == traefik ]]; then image=$TRAEFIK; else image=$ENVOY; fi
lock
# shellcheck disable=SC2154 # of gateway.env
load_images "$cluster" "$APP" "$APP_NEXT" "$image"
logged "gateway-crds-$cluster" install_crds "$("$here/crds.sh")"
logged "gateway-$gateway-$cluster" "$gateway"
kubectl wait --for condition=Accepted "gatewayclass/$gateway" --timeout "${ready_timeout}s" >/dev/null
kubectl --namespace "$gateway" wait --for condition=Programmed gateway/web --timeout "${ready_timeout}s" >/dev/null
say "gateway $gateway in cluster $cluster: http://web.$gateway.svc:8000, ready in $(elapsed "$start")"
