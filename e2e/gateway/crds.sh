#!/usr/bin/env bash
# crds.sh: prints the folder with the CRDs of the Gateway API, standard channel, one YAML file each. They come out of the Go
# module that crds/go.mod names and are never copied. An API server needs nothing but "kubectl apply --server-side -f" of it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/crds"
command -v go >/dev/null || { echo "Go is missing (any version from 1.21 on: it fetches the one that go.mod names)." >&2; exit 1; }
module=sigs.k8s.io/gateway-api
go mod download "$module"
folder=$(go list -mod=readonly -m -f '{{.Dir}}' "$module")/config/crd/standard
[[ -d $folder ]] || { echo "$module has no folder ${folder##*"$module"}" >&2; exit 1; }
echo "$folder"
