# shellcheck shell=bash
# Builds Go programs out of tools modules, once for each state of their sources. Source it after lib.sh.

declare -A built # name of a tool -> folder of its programs

# tool NAME ABOUT LDFLAGS [FOLDER]: builds the main package of the tools module NAME, or the packages its go.mod lists as
# tools. The module is in FOLDER; by default in the folder of that name here.
tool() {
  local name=$1 about=$2 ldflags=$3 dir=${4:-$cluster_dir/$1}
  local key target
  shopt -s nullglob
  key=$(digest -s "$go_version" -s "$ldflags" "$dir"/*.go "$dir"/go.*)
  shopt -u nullglob
  target=$cache/tools/$name-$key
  built[$name]=$target
  if [[ ! -d $target ]]; then
    local start=$SECONDS
    say "building $name ($about)…"
    logged "build-$name" build_tool "$dir" "$target" "$ldflags"
    say "  $name built in $(elapsed "$start")"
  fi
}

build_tool() {
  local dir=$1 target=$2 ldflags=$3 tmp packages=(.)
  tmp=$(mktemp -d "$cache/tools/.partial.XXXXXX")
  cd "$dir"
  if grep -q '^tool ' go.mod; then mapfile -t packages < <(go list -mod=readonly tool); fi
  CGO_ENABLED=0 GOWORK=off go build -mod=readonly -trimpath -ldflags "-s -w $ldflags" -o "$tmp/" "${packages[@]}"
  chmod 0755 "$tmp"
  mv -T "$tmp" "$target"
}

stamp() { printf -- '-X %s=%s ' "$1" "$2"; }

go_ready() {
  command -v go >/dev/null || die "Go is missing (any version from 1.21 on: it fetches the one that go.mod names)."
  go_version=$(cd "$cluster_dir/kube" && go env GOVERSION)
}

