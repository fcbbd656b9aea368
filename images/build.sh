#!/usr/bin/env bash
# build.sh [load CLUSTER...]: builds the images shieldx and shieldx-postgres and names them in .build/images.env;
# with "load" it also brings them into kind clusters (with KUBECONFIG_CLUSTER=1 into that of the current context).
#
# The tag is a hash of everything that goes in, so that an image that exists is never built again, and a pod that
# names one always gets just that program.
#
#   ENGINE=docker|podman   default: Docker where it answers, else Podman as root on Debian
set -euo pipefail
# shellcheck source=../e2e/cluster/lib.sh disable=SC2317
source "$(dirname "${BASH_SOURCE[0]}")/../e2e/cluster/lib.sh"
# shellcheck source=../e2e/cluster/load.sh
source "$cluster_dir/load.sh"

images=(shieldx shieldx-postgres)
kept_tags=3 # of each image
# What npm run build compiles, and how.
source_dirs=(lib crds operator controllers dataplane)
source_files=(package.json package-lock.json tsconfig.json tsconfig.build.json bin/copy-assets.ts)

has_image() { "$engine" image inspect "$1" >/dev/null 2>&1 9>&-; }

# ---------------------------------------------------------------- build

# program_key: over the sources, the lock file (and so Node, which is one of the packages), the Containerfiles.
program_key() {
  local files=()
  cd "$repo"
  mapfile -d '' -t files < <(find "${source_dirs[@]}" -type f \
    ! -name '*.test.ts' ! -path '*/testing/*' -print0 2>/dev/null | LC_ALL=C sort -z)
  digest -s "$base_id" -s "${files[*]}" "${source_files[@]}" "${files[@]}" images/*/Containerfile images/build.sh
}

# base_image: what the images stand on. Both share it, and on Podman the kind nodes do too.
base_image() {
  if [[ $engine == podman ]]; then
    "$cluster_dir/toolchain.sh" rootfs >&2
    say localhost/debian:trixie
  else
    say debian:trixie-slim
  fi
}

# os_layers: the layers with Debian's packages, under a tag of their own: tests that need a PostgreSQL and not the
# program use it, and it keeps them from being built again.
os_layers() {
  local name tag start
  for name in "${images[@]}"; do
    tag=os-$(digest -s "$base_id" "images/$name/Containerfile")
    if has_image "localhost/$name:$tag" && has_image "localhost/$name:os"; then continue; fi
    start=$SECONDS
    say "building the Debian packages of $name…"
    logged "image-$name-os" build "$name" "$tag" "$repo/images/$name" --target os
    "$engine" tag "localhost/$name:$tag" "localhost/$name:os" 9>&-
    say "  built in $(elapsed "$start")"
  done
}

# build NAME TAG CONTEXT [ARGUMENT...]
build() {
  local name=$1 tag=$2 context=$3 flags=()
  shift 3
  if [[ $engine == podman ]]; then flags=(--network host --pull=never); fi
  "$engine" build "${flags[@]}" --build-arg BASE_IMAGE="$base" --tag "localhost/$name:$tag" \
    --file "$repo/images/$name/Containerfile" "$@" "$context"
}

# dependencies: what the program needs at run time, installed once for each lock file.
dependencies() {
  local key
  key=$(digest package.json package-lock.json)
  modules=$cache/npm/$key/node_modules
  if [[ ! -d $modules ]]; then
    say "installing the program's dependencies…"
    logged npm-production install_dependencies "$cache/npm/$key"
  fi
  touch "$cache/npm/$key"
  # The compiler and Node itself are development dependencies of the repository.
  if [[ ! -x node_modules/.bin/tsc || ! -x node_modules/node/bin/node ]]; then
    say "installing the repository's dependencies…"
    logged npm-all npm ci --no-audit --no-fund
  fi
}

install_dependencies() {
  local target=$1
  mkdir -p "$cache/npm"
  rm -rf "$cache"/npm/.partial "$target"
  mkdir "$cache/npm/.partial"
  cp package.json package-lock.json "$cache/npm/.partial/"
  (cd "$cache/npm/.partial" && npm ci --omit=dev --ignore-scripts --no-audit --no-fund)
  # What only compilers and people read is half of the files.
  find "$cache/npm/.partial/node_modules" -type f \( -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.map' \
    -o -iname '*.md' -o -name '*.flow' \) -delete
  mv "$cache/npm/.partial" "$target"
  # The last few lock files are enough.
  find "$cache/npm" -mindepth 1 -maxdepth 1 -type d -printf '%T@ %p\n' | sort -rn | tail -n +4 | cut -d' ' -f2- | xargs -r rm -rf
}

# stage FOLDER: the build context of both images.
stage() {
  local folder=$1
  npm run build
  mkdir "$folder/context"
  cp -r dist package.json "$folder/context/"
  cp -al "$modules" "$folder/context/node_modules"
  cp node_modules/node/bin/node "$folder/context/node"
  printf '#!/bin/sh\nexec node --disable-warning=ExperimentalWarning /opt/shieldx/dist/operator/main.js "$@"\n' >"$folder/context/shieldx"
  chmod -R u=rwX,go=rX "$folder/context/dist" "$folder/context/package.json"
  chmod 0755 "$folder/context/node" "$folder/context/shieldx"
}

build_all() {
  local start=$SECONDS key work name attempt
  cd "$repo"
  if [[ $engine == docker ]]; then has_image "$base" || logged pull docker pull "$base"; fi
  base_id=$("$engine" image inspect --format '{{.Id}}' "$base" 9>&-)
  key=$(program_key)
  if ! has_image "localhost/shieldx:$key" || ! has_image "localhost/shieldx-postgres:$key"; then
    os_layers
    dependencies
    work=$(mktemp -d "$cache/context.XXXXXX")
    # shellcheck disable=SC2064 # the folder of now
    trap "rm -rf '$work'" EXIT
    say "building images shieldx and shieldx-postgres…"
    # A source that changes under the compiler would come into an image of the wrong tag.
    for attempt in 1 2 3; do
      rm -rf "$work/context"
      logged build-program stage "$work"
      if [[ $(program_key) == "$key" ]]; then break; fi
      if ((attempt == 3)); then die "The sources keep changing while they are compiled; try again."; fi
      key=$(program_key)
    done
    for name in "${images[@]}"; do
      logged "image-$name" build "$name" "$key" "$work/context"
    done
    prune "$key"
    say "  built in $(elapsed "$start")"
  fi
  printf 'SHIELDX_IMAGE=localhost/shieldx:%s\nSHIELDX_POSTGRES_IMAGE=localhost/shieldx-postgres:%s\n' "$key" "$key" >"$out/images.env"
}

# prune KEY: tags older than the latest few go, except the one just made. Layers that another tag needs stay, and so do
# images that a container uses.
prune() {
  local name tag old
  for name in "${images[@]}"; do
    old=$(
      tags "$name" '[0-9a-f]{12}' | grep -vx "$1" | tail -n "+$kept_tags"
      tags "$name" 'os-[0-9a-f]{12}' | tail -n +2
    )
    for tag in $old; do "$engine" rmi "localhost/$name:$tag" >/dev/null 2>&1 9>&- || true; done
  done
}

# tags NAME PATTERN: the tags of an image, the newest first.
tags() {
  "$engine" images --filter "reference=localhost/$1" --format '{{.CreatedAt}} {{.Tag}}' 9>&- |
    LC_ALL=C sort -r | awk '{ print $NF }' | grep -xE "$2" || true
}

# ---------------------------------------------------------------- load

load() {
  # shellcheck disable=SC1091
  source "$out/images.env"
  local cluster
  for cluster in "$@"; do load_images "$cluster" "$SHIELDX_IMAGE" "$SHIELDX_POSTGRES_IMAGE"; done
}

# ----------------------------------------------------------------

case ${1:-} in
  '') clusters=() ;;
  load)
    shift
    (($#)) || die "usage: build.sh [load CLUSTER...]"
    clusters=("$@")
    ;;
  *) die "usage: build.sh [load CLUSTER...]" ;;
esac
engine=$(engine)
base=$(base_image)
lock
rm -rf "$cache"/context.?????? "$cache"/load.??????
build_all
if ((${#clusters[@]})); then load "${clusters[@]}"; fi
