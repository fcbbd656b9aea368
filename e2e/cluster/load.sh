# shellcheck shell=bash
# Brings images into the nodes of kind clusters. Source it after lib.sh; $engine says what the clusters run on.

layout_limit=4000 # MB that the copies for loading may take before they are made anew

# load_images CLUSTER IMAGE...: with KUBECONFIG_CLUSTER=1 into the cluster of the current context.
load_images() {
  local cluster=$1 node nodes start=$SECONDS
  shift
  if [[ ${KUBECONFIG_CLUSTER:-} == 1 ]]; then
    cluster=$("$out/bin/kubectl" config current-context)
    cluster=${cluster#kind-}
  fi
  nodes=$("$engine" ps --filter "label=io.x-k8s.kind.cluster=$cluster" --format '{{.Names}}' 9>&-)
  if [[ -z $nodes && ${KUBECONFIG_CLUSTER:-} == 1 ]]; then
    say "The cluster of the current context is not a kind cluster of this machine: it must have these images already: $*"
    return
  fi
  [[ -n $nodes ]] || die "There is no running kind cluster $cluster; e2e/cluster/up.sh makes one."
  if [[ $engine == docker ]]; then
    logged "load-$cluster" "$out/bin/kind" load docker-image --name "$cluster" "$@"
  else
    for node in $nodes; do logged "load-$node" load_podman "$node" "$@"; done
  fi
  if ((SECONDS > start)); then say "images loaded into $cluster in $(elapsed "$start")"; fi
}

# load_podman NODE IMAGE...: brings into a node what it lacks of the images. Most of an image is layers that the node has
# from the one before; an archive of all of it would take many times as long as the new layers alone.
load_podman() {
  local node=$1 image missing=() layout=$cache/layout work blob
  shift
  for image in "$@"; do
    if [[ -z $(podman exec "$node" ctr --namespace k8s.io images list --quiet "name==$image") ]]; then missing+=("$image"); fi
  done
  ((${#missing[@]})) || return 0
  work=$(mktemp -d "$cache/load.XXXXXX")
  # shellcheck disable=SC2064 # the folder of now
  trap "rm -rf '$work'" EXIT
  # The layout keeps the blobs from one time to the next; its index is to name only what is wanted now.
  mkdir -p "$layout"
  if (($(du -sm "$layout" | cut -f1) > layout_limit)); then rm -rf "$layout"; fi
  rm -f "$layout/index.json"
  for image in "${missing[@]}"; do podman save --quiet --format oci-dir --uncompressed --output "$layout" "$image"; done
  sed 's/"org.opencontainers.image.ref.name"/"io.containerd.image.name"/g' "$layout/index.json" >"$work/index.json"
  podman exec "$node" ctr --namespace k8s.io content list --quiet | sort >"$work/have"
  digests "$work/index.json" >"$work/manifests"
  {
    cat "$work/manifests"
    while read -r blob; do digests "$layout/blobs/${blob/://}"; done <"$work/manifests"
  } | sort -u | comm -23 - "$work/have" | sed 's|:|/|; s|^|blobs/|' >"$work/blobs"
  tar -c -C "$work" index.json -C "$layout" oci-layout --files-from "$work/blobs" |
    podman exec --interactive "$node" ctr --namespace k8s.io images import --local -
}

# digests FILE: what an index or a manifest is made of (and not what its annotations mention).
digests() { grep -o '"digest":"sha256:[0-9a-f]\{64\}"' "$1" | cut -d'"' -f4; }
