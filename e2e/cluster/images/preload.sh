#!/usr/bin/env bash
# preload.sh FOLDER: puts the image archives of a folder into the containerd store of the node image that is being built.
set -euo pipefail

containerd >/tmp/containerd.log 2>&1 &
pid=$!
trap 'kill "$pid"; wait "$pid" || true; rm -f /tmp/containerd.log' EXIT
for _ in $(seq 50); do
  if [[ -S /run/containerd/containerd.sock ]] && ctr version >/dev/null 2>&1; then break; fi
  sleep 0.2
done
if ! ctr version >/dev/null; then
  tail -n 30 /tmp/containerd.log
  exit 1
fi
for archive in "$1"/*.tar; do
  ctr --namespace k8s.io images import --local --no-unpack --label io.cri-containerd.pinned=pinned "$archive"
done
ctr --namespace k8s.io images list --quiet
