#!/usr/bin/env bash
# up.sh: brings up the clusters named in CLUSTERS, and writes .build/kube/<name>.kubeconfig for each.
#
#   CLUSTERS="a b"          names; default shieldx-demo
#   WORKERS=2               worker nodes beside the control plane; default 0: one node that runs everything
#   ENGINE=docker|podman    default: Docker where it answers, else Podman as root on Debian
#   ENFORCE=0               no NetworkPolicy is enforced; default 1 on Podman (Docker's nodes are kind's own, which enforce)
#   KUBECONFIG_CLUSTER=1    make nothing: use the cluster of the current kubeconfig context
#
# A healthy cluster is kept. One that was stopped is started. What a killed run left half made is made again.
# shellcheck disable=SC2317 # functions that "logged" calls
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

read -ra clusters <<<"${CLUSTERS:-shieldx-demo}"
workers=${WORKERS:-0} # a cluster that exists may have any number unless WORKERS is set
ready_timeout=180 # seconds for a new cluster; on two cores one node needs about 40
start_timeout=90  # seconds for the nodes of a stopped cluster to be Ready again

((${#clusters[@]})) || die "CLUSTERS is empty."
for name in "${clusters[@]}"; do
  [[ $name =~ ^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$ ]] || die "'$name' is no name for a cluster: lower case letters, digits and dashes."
done
enforce=${ENFORCE:-1}
[[ $enforce == [01] ]] || die "ENFORCE=$enforce: 1 or 0."
[[ $workers =~ ^[0-9]$ ]] || die "WORKERS=$workers: a number from 0 to 9."

# kubectl_for NAME ARGUMENT...
kubectl_for() {
  local name=$1
  shift
  "$out/bin/kubectl" --kubeconfig "$out/kube/$name.kubeconfig" --request-timeout 10s "$@"
}

if [[ ${KUBECONFIG_CLUSTER:-} == 1 ]]; then
  # The programs of the machine, if it has them, are likelier to fit that cluster than ours.
  if kubectl=$(command -v kubectl) && helm=$(command -v helm); then
    ln -sfn "$kubectl" "$out/bin/kubectl"
    ln -sfn "$helm" "$out/bin/helm"
  else
    "$cluster_dir/toolchain.sh" tools
    kubectl=$out/bin/kubectl
  fi
  for name in "${clusters[@]}"; do
    file=$out/kube/$name.kubeconfig
    config=$("$kubectl" config view --raw --minify --flatten) || die "The current kubeconfig has no usable context."
    (
      umask 077
      printf '%s\n' "$config" >"$file"
    )
    kubectl_for "$name" get --raw /readyz >/dev/null || die "The cluster of the current kubeconfig context does not answer."
    say "cluster $name: the current context, $("$kubectl" config current-context)"
  done
  exit
fi

engine=$(engine)
if [[ $engine == podman ]]; then "$cluster_dir/toolchain.sh" all; else "$cluster_dir/toolchain.sh" tools; fi
export KIND_EXPERIMENTAL_PROVIDER=$engine
image=()
if [[ $engine == podman ]]; then image=(--image "$(<"$out/node-image")"); fi

# nodes NAME [-a]: the node containers of a cluster; with -a also those that do not run.
nodes() {
  "$engine" ps ${2:+"$2"} --filter "label=io.x-k8s.kind.cluster=$1" --format '{{.Names}}' 9>&-
}

# finished NAME: whether up.sh once finished this cluster. The mark is in the node, so it comes and goes with it.
finished() {
  "$engine" cp "$1-control-plane:$mark" - >/dev/null 2>&1 9>&-
}
mark=/kind/shieldx-complete

# ready NAME SECONDS: waits until the API server answers, every node is Ready and pods have network, DNS and volumes.
ready() {
  local name=$1 deadline=$((SECONDS + $2))
  until works "$name"; do
    ((SECONDS < deadline)) || return 1
    sleep 1
  done
}

works() {
  local node=$1-control-plane started name
  kubectl_for "$1" get --raw /readyz &&
    # Until these have reported since the nodes were started, all that the API server knows is how things were before.
    started=$(started "$node") &&
    renewed "$1" kube-system kube-controller-manager "$started" &&
    renewed "$1" kube-system kube-scheduler "$started" || return 1
  for name in $(nodes "$1"); do
    renewed "$1" kube-node-lease "$name" "$(started "$name")" || return 1
  done
  kubectl_for "$1" wait --for condition=Ready nodes --all --timeout 5s &&
    kubectl_for "$1" --namespace kube-system wait --for condition=Ready pods --timeout 5s \
      --selector 'k8s-app in (kube-dns, kube-proxy, podnet, kube-router)' &&
    kubectl_for "$1" --namespace local-path-storage wait --for condition=Ready pods --timeout 5s \
      --selector app=local-path-provisioner
} >/dev/null 2>&1

# started NODE: when its container was started, in seconds.
started() {
  if [[ $engine == podman ]]; then
    podman inspect --format '{{.State.StartedAt.Unix}}' "$1" 9>&-
  else
    date -d "$(docker inspect --format '{{.State.StartedAt}}' "$1")" +%s
  fi
}

# renewed CLUSTER NAMESPACE LEASE SECONDS: whether a Lease was renewed after that time.
renewed() {
  local renewed
  renewed=$(kubectl_for "$1" --namespace "$2" get lease "$3" -o 'jsonpath={.spec.renewTime}') && [[ -n $renewed ]] &&
    (($(date -d "$renewed" +%s) > $4))
}

# keep NAME: whether there is a cluster that can be used as it is; starts it if it was stopped.
keep() {
  local name=$1 all running
  all=$(nodes "$name" -a | sort)
  [[ -n $all ]] && finished "$name" || return 1
  local have
  have=$(wc -l <<<"$all")
  if [[ -n ${WORKERS:-} ]] && ((have != workers + 1)); then
    die "Cluster $name has $((have - 1)) worker nodes, WORKERS asks for $workers. Take it down first (CLUSTERS=$name e2e/cluster/down.sh)."
  fi
  running=$(nodes "$name" | sort)
  if [[ $running != "$all" ]]; then
    say "cluster $name: starting its stopped nodes"
    # shellcheck disable=SC2046,SC2086 # one word a node
    "$engine" start $(comm -23 <(printf '%s\n' $all) <(printf '%s\n' $running)) >/dev/null 9>&- || return 1
  fi
  write_kubeconfig "$name" && ready "$name" "$start_timeout"
}

write_kubeconfig() {
  rm -f "$out/kube/$1.kubeconfig"
  "$out/bin/kind" --quiet export kubeconfig --name "$1" --kubeconfig "$out/kube/$1.kubeconfig" >/dev/null 2>&1 9>&-
}

# subnet NAME: a range for the pods that no other cluster of this cache has: pods of one cluster reach the nodes of
# another under their own addresses' routes only if the ranges differ.
subnet() {
  local file=$cache/clusters/$1 number=244
  if [[ ! -s $file ]]; then
    while grep -qsx "10.$number.0.0/16" "$cache"/clusters/*; do number=$((number == 255 ? 100 : number + 1)); done
    printf '10.%d.0.0/16\n' "$number" >"$file"
  fi
  cat "$file"
}

config() {
  local name=$1 i
  cat <<END
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
name: $name
networking:
  podSubnet: $(subnet "$name")
  serviceSubnet: $service_subnet
  dnsSearch: []
END
  if [[ $engine == podman ]]; then
    cat <<END
featureGates:
  KubeletInUserNamespace: true
kubeadmConfigPatches:
  - |
    kind: KubeletConfiguration
    failCgroupV1: false
END
  fi
  say "nodes:"
  say "  - role: control-plane"
  for ((i = 0; i < workers; i++)); do say "  - role: worker"; done
}

# enforcer NAME: what makes NetworkPolicies take effect, where the node image is ours.
enforcer() {
  if [[ $engine != podman || $enforce == 0 ]]; then return; fi
  sed "s|SERVICE_SUBNET|$service_subnet|" "$cluster_dir/network-policies.yaml" |
    kubectl_for "$1" apply --server-side --filename -
}

create() {
  local name=$1 file=$cache/clusters/$1.yaml
  "$out/bin/kind" create cluster --config "$file" "${image[@]}" --kubeconfig "$out/kube/$name.kubeconfig" --wait "${ready_timeout}s"
  enforcer "$name"
  ready "$name" "$ready_timeout"
  "$engine" exec "$name-control-plane" touch "$mark"
}

lock
pids=()
for name in "${clusters[@]}"; do
  if keep "$name"; then
    say "cluster $name: kept as it is"
    continue
  fi
  if [[ -n $(nodes "$name" -a) ]]; then
    say "cluster $name: removing what is left of an unfinished or broken one"
    logged "remove-$name" remove_cluster "$engine" "$name"
  fi
  config "$name" >"$cache/clusters/$name.yaml"
  say "cluster $name: creating it with $((workers + 1)) node(s)…"
  # Several at once take less time than one after the other: they mostly wait.
  (
    start=$SECONDS
    logged "create-$name" create "$name"
    say "cluster $name: ready in $(elapsed "$start")"
  ) &
  pids+=($!)
done
failed=0
for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
exit "$failed"
