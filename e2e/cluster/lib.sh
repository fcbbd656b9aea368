# shellcheck shell=bash disable=SC2034
# What the scripts of this folder and of images/ have in common. Source it; it changes nothing by itself.

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cluster_dir=$repo/e2e/cluster
out=$repo/.build
cache=${SHIELDX_CACHE:-$HOME/.cache/shieldx}
logs=$cache/logs
service_subnet=10.96.0.0/16 # of every cluster: unlike pods, Services are for their own cluster alone
mkdir -p "$out/bin" "$out/kube" "$cache/tools" "$cache/clusters" "$logs"

say() { printf '%s\n' "$*"; }

# Quick work is not worth a line; what takes longer says how long it took.
elapsed() {
  local s=$((SECONDS - $1))
  if ((s >= 60)); then printf '%d min %d s' $((s / 60)) $((s % 60)); else printf '%d s' "$s"; fi
}

die() {
  printf '%s\n' "$*" >&2
  exit 1
}

# logged NAME COMMAND...: runs it with all output in a log, and shows where the log is if it fails.
logged() {
  local name=$1 log=$logs/$1.log status=0
  shift
  # Not as a condition: that would switch off "set -e" inside of functions. And without the lock's descriptor:
  # what outlives the script must not hold it.
  set +e
  (
    set -e
    "$@"
  ) >"$log" 2>&1 9>&-
  status=$?
  set -e
  if ((status != 0)); then
    tail -n 15 "$log" >&2
    die "$name failed; all of its output is in $log"
  fi
}

# digest FILE|-s STRING ...: twelve hex digits over the named files and strings.
digest() {
  local arg is_string=
  for arg in "$@"; do
    if [[ $arg == -s ]]; then
      is_string=1
    elif [[ -n $is_string ]]; then
      printf 's:%s\0' "$arg"
      is_string=
    else
      sha256sum <"$arg"
    fi
  done | sha256sum | cut -c1-12
}

# digest_tree FOLDER...: the same over every file below the folders, their paths and modes included.
digest_tree() {
  local folder
  for folder in "$@"; do
    (cd "$folder" && find . \( -type f -printf '%P %m\n' -o -type l -printf '%P -> %l\n' \) | LC_ALL=C sort &&
      find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum)
  done | sha256sum | cut -c1-12
}

# required FOLDER MODULE: the version of a module that a tools module asks for.
required() {
  awk -v m="$2" '{ sub(/^require/, "") } $1 == m && $2 ~ /^v/ { print $2; exit }' "$cluster_dir/$1/go.mod"
}

# One build or clean-up at a time. The lock goes with the process that holds it, however that ends.
lock() {
  exec 9>"$cache/lock"
  if ! flock -n 9; then
    say "waiting for another build that uses $cache"
    flock 9
  fi
}

is_root_debian() { [[ $EUID -eq 0 && -f /etc/debian_version ]]; }

has_docker() { command -v docker >/dev/null && timeout 20 docker info >/dev/null 2>&1; }

# remove_cluster ENGINE NAME: every container and volume of a kind cluster, however far its creation came.
remove_cluster() {
  local engine=$1 name=$2 left node now=()
  left=$("$engine" ps --all --filter "label=io.x-k8s.kind.cluster=$name" --format '{{.Names}}')
  if [[ $engine == podman ]]; then now=(--time 0); fi
  # shellcheck disable=SC2086 # one word a node
  if [[ -n $left ]]; then "$engine" rm --force --volumes "${now[@]}" $left; fi
  if [[ $engine == podman ]]; then
    # kind gives each node a volume that carries the node's name as a label.
    for node in control-plane worker worker{2..9}; do
      podman volume ls --quiet --filter "label=$name-$node" | xargs -r podman volume rm --force
    done
  fi
  rm -f "$out/kube/$name.kubeconfig"
}

# engine: docker where a Docker engine answers, podman where this may set up its own, else a sentence and the end.
# ENGINE=docker|podman decides without looking.
engine() {
  if [[ -n ${ENGINE:-} ]]; then
    say "$ENGINE"
  elif has_docker; then
    say docker
  elif is_root_debian; then
    say podman
  else
    die "A cluster needs a Docker engine that answers, or root on Debian to set up Podman; this is neither." \
      "Or set KUBECONFIG_CLUSTER=1 to use the cluster of the current kubeconfig context."
  fi
}

