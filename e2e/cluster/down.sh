#!/usr/bin/env bash
# down.sh: removes the clusters named in CLUSTERS (default shieldx-demo) that up.sh made, with their data.
# The cache and the images stay. A cluster that was only borrowed (KUBECONFIG_CLUSTER=1) is left alone.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

read -ra clusters <<<"${CLUSTERS:-shieldx-demo}"

if [[ ${KUBECONFIG_CLUSTER:-} == 1 ]]; then
  for name in "${clusters[@]}"; do rm -f "$out/kube/$name.kubeconfig"; done
  exit
fi

engine=$(engine)
if ! command -v "$engine" >/dev/null; then exit; fi
lock

for name in "${clusters[@]}"; do
  if [[ ! -s $cache/clusters/$name ]]; then
    say "cluster $name: not one that up.sh made, left alone"
    continue
  fi
  logged "remove-$name" remove_cluster "$engine" "$name"
  rm -f "$cache/clusters/$name" "$cache/clusters/$name.yaml"
  say "cluster $name: removed"
done
