#!/usr/bin/env bash
# up.sh CLUSTER: brings Argo Rollouts into a cluster that has Traefik (e2e/gateway/up.sh), and lets Traefik serve the kinds of its
# own that the in-tree router of Argo Rollouts writes. What is there already stays. The first time it builds the controller.
#
#   THROTTLE=100ms         for how long Traefik gathers changes before it serves them; its own default is 2 s
#   ENGINE=docker|podman   default: Docker where it answers, else Podman as root on Debian
# shellcheck disable=SC2317 # functions that "logged" calls
set -euo pipefail
# shellcheck source=../../../e2e/cluster/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../../e2e/cluster/lib.sh"
# shellcheck source=../../../e2e/cluster/load.sh
source "$cluster_dir/load.sh"
# shellcheck source=../../../e2e/cluster/tools.sh
source "$cluster_dir/tools.sh"

here=$repo/bench/peers/argo-rollouts
single=$cluster_dir/images/Containerfile.single
ready_timeout=120 # seconds

# Go modules with their checksums, as a go.sum has them. They are taken as archives, not as requirements of a go.mod: Argo
# Rollouts asks for a patch release of Go that may be newer than the one here, and of Traefik only its CRDs are wanted.
argo=github.com/argoproj/argo-rollouts
argo_version=v1.10.2
argo_sum=h1:sEPWsY+HUvnXj3Vh0ejb+GDTceQ/palqhFo2FVQJMk0=
traefik=github.com/traefik/traefik/v3
traefik_version=v3.7.13
traefik_sum=h1:T8wy9KuaFzCkmXCqAzDy7t73pBDR1DHrJe3pqXpNXTw=

(($# == 1)) || die "usage: up.sh CLUSTER"
cluster=$1
kubeconfig=$out/kube/$cluster.kubeconfig
[[ -s $kubeconfig ]] || die "There is no $kubeconfig; CLUSTERS=$cluster e2e/cluster/up.sh makes the cluster."

kubectl() { "$out/bin/kubectl" --kubeconfig "$kubeconfig" "$@"; }

apply() { kubectl apply --server-side --force-conflicts --filename "$@"; }

# archive MODULE VERSION SUM: where the archive of a Go module is. Go has it, checked, also when it refuses the module for its
# version of Go.
archive() {
  local answer
  answer=$(cd "$work" && go mod download -json "$1@$2" || true)
  [[ $answer == *"\"Sum\": \"$3\""* ]] || die "$1@$2 could not be had, or is not the one that is known: $answer"
  sed -n 's/.*"Zip": "\(.*\)".*/\1/p' <<<"$answer"
}

# member ARCHIVE PATH: a file of an archive.
member() {
  python3 -c 'import sys, zipfile; sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))' "$@"
}

build_controller() {
  python3 -m zipfile -e "$1" "$work/source"
  cd "$work/source/$argo@$argo_version"
  go mod edit -go=1.26.0 -toolchain=none
  CGO_ENABLED=0 GOWORK=off go build -mod=readonly -trimpath \
    -ldflags "-s -w $(stamp $argo/utils/version.version "${argo_version#v}")" -o "$work/context/" ./cmd/rollouts-controller
}

build_image() {
  local flags=()
  if [[ $engine == podman ]]; then flags=(--network host --pull=never); fi
  "$engine" build "${flags[@]}" --tag "$image" --file "$single" --build-arg PROGRAM=rollouts-controller "$work/context"
}

install_argo() {
  local name
  for name in rollout analysis-run analysis-template cluster-analysis-template experiment; do
    member "$1" "$argo@$argo_version/manifests/crds/$name-crd.yaml" | apply -
  done
  member "$1" "$argo@$argo_version/manifests/role/argo-rollouts-clusterrole.yaml" | apply -
  sed "s|IMAGE|$image|" "$here/controller.yaml" | apply -
  kubectl --namespace argo-rollouts rollout status deployment/argo-rollouts --timeout "${ready_timeout}s"
}

# install_traefik_kinds ARCHIVE: Traefik keeps its provider of the Gateway API and gets the one of its own kinds beside it.
install_traefik_kinds() {
  member "$1" "$traefik@$traefik_version/docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml" | apply -
  kubectl wait --for condition=Established --timeout 60s customresourcedefinition --all
  apply "$here/traefik.yaml"
  local args wanted patch=
  args=$(kubectl --namespace traefik get deployment traefik --output 'jsonpath={.spec.template.spec.containers[0].args}')
  for wanted in kubernetesCRD=true kubernetesCRD.allowEmptyServices=true ${THROTTLE:+"providersThrottleDuration=$THROTTLE"}; do
    wanted=--providers.$wanted
    if [[ $args != *"$wanted"* ]]; then
      patch+="${patch:+,}{\"op\": \"add\", \"path\": \"/spec/template/spec/containers/0/args/-\", \"value\": \"$wanted\"}"
    fi
  done
  if [[ -n $patch ]]; then kubectl --namespace traefik patch deployment traefik --type json --patch "[$patch]"; fi
  kubectl --namespace traefik rollout status deployment/traefik --timeout "${ready_timeout}s"
}

start=$SECONDS
go_ready
engine=$(engine)
lock
work=$(mktemp -d "$cache/argo.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/context"
argo_zip=$(archive "$argo" "$argo_version" "$argo_sum")
traefik_zip=$(archive "$traefik" "$traefik_version" "$traefik_sum")
# shellcheck disable=SC2154 # of tools.sh
image=localhost/shieldx-bench/argo-rollouts:$(digest -s "$go_version" -s "$argo_sum" -s "$(declare -f build_controller)" "$single")
if ! "$engine" image inspect "$image" >/dev/null 2>&1 9>&-; then
  say "building Argo Rollouts $argo_version (about six minutes cold on two cores)…"
  logged build-argo-rollouts build_controller "$argo_zip"
  logged image-argo-rollouts build_image
  say "  built in $(elapsed "$start")"
fi
load_images "$cluster" "$image"
logged "argo-rollouts-$cluster" install_argo "$argo_zip"
logged "traefik-kinds-$cluster" install_traefik_kinds "$traefik_zip"
say "Argo Rollouts $argo_version in cluster $cluster: ready in $(elapsed "$start")"
