#!/usr/bin/env bash
# toolchain.sh [kube|tools|rootfs|node|all]: builds what a cluster needs and links the programs to .build/bin.
#
#   kube    the kube program alone (etcd, API server, kubectl ... in one file): all that integration tests need
#   tools   kube, helm, kind and promtool
#   rootfs  the Debian base image of every image built here (Podman only)
#   node    the kind node image (Podman only)
#   all     tools, and on Podman rootfs and node; the default
#
# Each result is kept in the cache under a hash of what went into it, so that a second run only looks.
# shellcheck disable=SC2317 # functions that "logged" calls
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tools.sh
source "$cluster_dir/tools.sh"

kube_version=$(required kube k8s.io/kubernetes)
containerd_version=$(required containerd github.com/containerd/containerd/v2)
helm_version=$(required helm helm.sh/helm/v4)
kind_version=$(required kind sigs.k8s.io/kind)
provisioner_version=$(required local-path-provisioner github.com/rancher/local-path-provisioner)
router_version=$(required kube-router github.com/cloudnativelabs/kube-router/v2)
debian_suite=trixie
rootfs_image=localhost/debian:$debian_suite

# ---------------------------------------------------------------- host

# Debian packages that Podman clusters need, by a program or file that tells that they are there.
host_packages=(
  podman:/usr/bin/podman
  buildah:/usr/bin/buildah
  netavark:/usr/lib/podman/netavark
  aardvark-dns:/usr/lib/podman/aardvark-dns
  debootstrap:/usr/sbin/debootstrap
  iptables:/usr/sbin/iptables
  iproute2:/bin/ip
  procps:/sbin/sysctl
  runc:/usr/sbin/runc
)

host() {
  local pair missing=()
  for pair in "${host_packages[@]}"; do
    [[ -e ${pair#*:} ]] || missing+=("${pair%%:*}")
  done
  if ((${#missing[@]})); then
    local start=$SECONDS
    say "installing Debian packages: ${missing[*]}"
    logged host-packages install_packages "${missing[@]}"
    say "  installed in $(elapsed "$start")"
  fi
  # kind mounts the host's kernel modules into its nodes, whether there are any or not.
  mkdir -p /lib/modules
  podman_settings
  # Each node has its own systemd, kubelet and containerd, which all watch files.
  local key want have
  for pair in max_user_instances:1024 max_user_watches:524288; do
    key=/proc/sys/fs/inotify/${pair%%:*}
    want=${pair#*:}
    have=$(<"$key")
    if ((have < want)); then echo "$want" 2>/dev/null >"$key" || say "note: $key is $have, several nodes may need $want"; fi
  done
}

# podman_settings: what Podman gets wrong by default on some machines, in a file of our own beside its configuration.
podman_settings() {
  local conf=/etc/containers/containers.conf.d/50-shieldx.conf capabilities text='' files processes
  # Podman asks for limits of its own, which only a process with CAP_SYS_RESOURCE (bit 24) may raise itself to.
  capabilities=$(awk '/^CapEff:/ { print $2 }' /proc/self/status)
  if ! ((16#$capabilities >> 24 & 1)); then
    files=$(ulimit -Hn)
    processes=$(ulimit -Hu)
    if [[ $files == unlimited ]] || ((files > 20000)); then files=20000; fi
    if [[ $processes == unlimited ]] || ((processes > 20000)); then processes=20000; fi
    text+=$(printf '[containers]\ndefault_ulimits = ["nofile=%s:%s", "nproc=%s:%s"]\n' "$files" "$files" "$processes" "$processes")
    text+=$'\n'
  fi
  # crun, the default runtime, refuses hosts whose cgroups are not all of version 2.
  if [[ ! -e /sys/fs/cgroup/cgroup.controllers ]]; then text+=$'[engine]\nruntime = "runc"\n'; fi
  if [[ -n $text && ! -e $conf ]]; then
    say "writing the Podman settings that this machine needs ($conf)"
    mkdir -p "${conf%/*}"
    printf '%s' "$text" >"$conf"
  fi
}

install_packages() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q || true
  apt-get install -y -q --no-install-recommends "$@"
}

# ---------------------------------------------------------------- programs

kube() {
  local flags='' package minor=${kube_version#v1.}
  # The kubelet and Helm refuse to work with a cluster that does not know its version.
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=$(stamp "$package.gitVersion" "$kube_version")
    flags+=$(stamp "$package.gitMajor" 1)
    flags+=$(stamp "$package.gitMinor" "${minor%%.*}")
  done
  tool kube "Kubernetes $kube_version, about 7 min cold" "$flags"
  link kube kube
  ln -sfn kube "$out/bin/kubectl"
}

cli() {
  tool helm "Helm $helm_version, about 1 min cold" "$(stamp helm.sh/helm/v4/internal/version.version "$helm_version")"
  tool kind "kind $kind_version" ""
  link helm helm
  link kind kind
}

# promtool tests alerts. Without what finds targets in clouds it builds in a fifth of the time.
promtool() {
  GOFLAGS=-tags=remove_all_sd tool promtool "Prometheus $(required promtool github.com/prometheus/prometheus), about 1 min cold" ""
  link promtool promtool
}

node_programs() {
  tool containerd "containerd $containerd_version, about 1 min cold" \
    "$(stamp github.com/containerd/containerd/v2/version.Version "$containerd_version")"
  tool cni "CNI plugins" ""
  tool coredns "CoreDNS $(required coredns github.com/coredns/coredns), about 1 min cold" ""
  tool local-path-provisioner "volume provisioner $provisioner_version" "$(stamp main.VERSION "$provisioner_version")"
  tool kube-router "kube-router $router_version, about 5 min cold" "$(stamp github.com/cloudnativelabs/kube-router/v2/pkg/version.Version "$router_version")"
  tool pause "pause" ""
}

# link TOOL PROGRAM: .build/bin gets a link, so that it always shows the newest of the cache.
link() { ln -sfn "${built[$1]}/$2" "$out/bin/$2"; }

# ---------------------------------------------------------------- images (Podman)

has_image() { podman image exists "$1" 2>/dev/null 9>&-; }

# image NAME TITLE KEY FOLDER CONTAINERFILE [BUILD ARGUMENT...]: builds NAME:KEY unless it is there.
image() {
  local name=$1 title=$2 key=$3 context=$4 file=$5
  shift 5
  if has_image "$name:$key"; then return; fi
  local start=$SECONDS
  say "building $title…"
  logged "image-${name##*/}" podman build --network host --pull=never --format oci \
    --tag "$name:$key" --file "$file" "$@" "$context"
  say "  built in $(elapsed "$start")"
}

rootfs() {
  if has_image "$rootfs_image"; then return; fi
  local start=$SECONDS
  say "building the Debian $debian_suite base image…"
  logged rootfs build_rootfs
  say "  built in $(elapsed "$start")"
}

build_rootfs() {
  local dir
  dir=$(mktemp -d "$cache/rootfs.XXXXXX")
  # shellcheck disable=SC2064 # the folder of now
  trap "rm -rf --one-file-system '$dir'" EXIT
  debootstrap --variant=minbase "$debian_suite" "$dir"
  rm -rf "$dir"/var/cache/apt/archives/*.deb "$dir"/var/lib/apt/lists/* "$dir"/var/log/* \
    "$dir"/usr/share/doc/* "$dir"/usr/share/man/* "$dir"/usr/share/locale/*
  printf 'APT::Install-Recommends "false";\nAcquire::Languages "none";\n' >"$dir/etc/apt/apt.conf.d/90minimal"
  # Building never starts services.
  printf '#!/bin/sh\nexit 101\n' >"$dir/usr/sbin/policy-rc.d"
  chmod 0755 "$dir/usr/sbin/policy-rc.d"
  tar -C "$dir" --numeric-owner --one-file-system -c . |
    podman import --change 'CMD ["bash"]' --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
      - "$rootfs_image"
}

node() {
  local base_files rootfs_id key base_key system_key node_key manifests work
  rootfs_id=$(podman image inspect --format '{{.Id}}' "$rootfs_image" 9>&-)
  manifests=$cluster_dir/images/manifests
  base_key=$(digest -s "$rootfs_id" -s "$kind_version" "$cluster_dir/images/Containerfile.base")
  system_key=$(digest -s "$rootfs_id" -s "${built[kube]} ${built[local-path-provisioner]} ${built[kube-router]}" "$cluster_dir/images/Containerfile.system")
  node_key=$(digest -s "$base_key $system_key $service_subnet" -s "${built[*]}" -s "$(digest_tree "$manifests")" \
    "$cluster_dir/images/"{Containerfile.node,Containerfile.single,preload.sh,refuse-unserved.sh})
  printf '%s\n' "localhost/shieldx-kind-node:$node_key" >"$out/node-image"
  if has_image "localhost/shieldx-kind-node:$node_key"; then return; fi

  # kind's own files come out of the module that the kind program was built from.
  base_files=$(cd "$cluster_dir/kind" && go mod download sigs.k8s.io/kind &&
    go list -mod=readonly -m -f '{{.Dir}}' sigs.k8s.io/kind)/images/base

  image localhost/shieldx-kind-base "the base of the kind node image" "$base_key" \
    "$base_files" "$cluster_dir/images/Containerfile.base" --build-arg BASE_IMAGE="$rootfs_image"

  work=$(mktemp -d "$cache/node.XXXXXX")
  # shellcheck disable=SC2064 # the folder of now
  trap "rm -rf '$work'" EXIT
  mkdir -p "$work/bin" "$work/preload"
  cp "${built[kube]}/kube" "${built[local-path-provisioner]}/local-path-provisioner" "${built[kube-router]}/kube-router" \
    "${built[coredns]}/coredns" "${built[pause]}/pause" "${built[containerd]}"/* "$work/bin/"
  cp -r "${built[cni]}" "$work/cni"
  cp -r "$manifests" "$work/manifests"
  cp "$cluster_dir/images/"{preload,refuse-unserved}.sh "$work/"

  image localhost/cluster-system "the image of the control plane" "$system_key" \
    "$work/bin" "$cluster_dir/images/Containerfile.system" --build-arg BASE_IMAGE="$rootfs_image"
  key=$(digest -s "${built[coredns]}" "$cluster_dir/images/Containerfile.single")
  image localhost/cluster-coredns "the image of CoreDNS" "$key" \
    "$work/bin" "$cluster_dir/images/Containerfile.single" --build-arg PROGRAM=coredns
  local coredns=localhost/cluster-coredns:$key
  key=$(digest -s "${built[pause]}" "$cluster_dir/images/Containerfile.single")
  image localhost/cluster-pause "the image of pause" "$key" \
    "$work/bin" "$cluster_dir/images/Containerfile.single" --build-arg PROGRAM=pause
  local pause=localhost/cluster-pause:$key

  # The names under which kubeadm, the kubelet and containerd look for these images are theirs to say.
  local name names=(localhost/cluster-system:local)
  podman tag "localhost/cluster-system:$system_key" localhost/cluster-system:local
  while read -r name; do
    case $name in
      */coredns*) podman tag "$coredns" "$name" ;;
      */pause:*) podman tag "$pause" "$name" ;;
      *) podman tag "localhost/cluster-system:$system_key" "$name" ;;
    esac
    names+=("$name")
  done < <(
    "${built[kube]}/kube" kubeadm config images list --kubernetes-version "$kube_version"
    sed -n 's/^ *sandbox_image = "\(.*\)"/\1/p' "$base_files/files/etc/containerd/config.toml"
  )
  logged preload podman save --multi-image-archive --format docker-archive --output "$work/preload/images.tar" "${names[@]}"
  podman rmi "${names[@]}" >/dev/null 2>&1 || true

  # Podman's cache of layers does not look into what is mounted: the images to preload.
  image localhost/shieldx-kind-node "the kind node image" "$node_key" "$work" "$cluster_dir/images/Containerfile.node" \
    --no-cache --build-arg BASE_IMAGE="localhost/shieldx-kind-base:$base_key" --build-arg KUBERNETES_VERSION="$kube_version" --build-arg SERVICE_SUBNET="$service_subnet"
  prune "$node_key" "$base_key" "$system_key"
}

# prune KEY...: node images of other keys go, unless a cluster still runs on them.
prune() {
  local tag
  while read -r tag; do
    case " $* " in *" ${tag##*:} "*) ;; *) podman rmi "$tag" >/dev/null 2>&1 || true ;; esac
  done < <(podman images --format '{{.Repository}}:{{.Tag}}' 9>&- |
    grep -E '^localhost/(shieldx-kind-(node|base)|cluster-system):[0-9a-f]{12}$' || true)
}

# ----------------------------------------------------------------

# clear_leftovers: what a run that was killed left behind, mounts of debootstrap included.
clear_leftovers() {
  local mount
  while read -r mount; do
    umount "$mount" || true
  done < <(awk -v p="$cache/rootfs." 'index($2, p) == 1 { print $2 }' /proc/mounts | sort -r)
  rm -rf --one-file-system "$cache"/tools/.partial.?????? "$cache"/rootfs.?????? "$cache"/node.??????
}

subset=${1:-all}
case $subset in
  kube | tools | rootfs | node | all) ;;
  *) die "usage: toolchain.sh [kube|tools|rootfs|node|all]" ;;
esac

lock
clear_leftovers

if [[ $subset != rootfs ]]; then
  go_ready
  kube
fi
if [[ $subset == tools || $subset == node || $subset == all ]]; then cli; fi
if [[ $subset == rootfs || $subset == node || $subset == all ]]; then
  engine=$(engine)
  # Docker pulls what Podman has to build.
  if [[ $engine == podman ]]; then
    host
    rootfs
    if [[ $subset != rootfs ]]; then
      node_programs
      node
    fi
  fi
fi
# Last: what a node image is made of does not change with it.
if [[ $subset == tools || $subset == all ]]; then promtool; fi
