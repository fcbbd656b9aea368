#!/usr/bin/env bash
# install.sh: puts the fuzzer (requirements.txt) into the cache, once for each list and each Python, and prints its program.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${SHIELDX_CACHE:-$HOME/.cache/shieldx}/tools
command -v python3 >/dev/null || { echo "python3 is missing: install Python 3.10 or newer (on Debian: apt-get install python3-venv)" >&2; exit 1; }
key=$({ cat "$here/requirements.txt" "${BASH_SOURCE[0]}"; python3 --version; } | sha256sum | cut -c1-16)
target=$cache/schemathesis-$key
mkdir -p "$cache"
exec 9>"$cache/schemathesis.lock"
flock 9
if [[ ! -e $target/ready ]]; then
  rm -rf "$target"
  # A folder of its own, not moved afterwards: programs in it name their interpreter by its path.
  python3 -m venv "$target" || { echo "python3 has no venv: on Debian, apt-get install python3-venv" >&2; exit 1; }
  "$target/bin/pip" install --quiet --disable-pip-version-check --no-input --requirement "$here/requirements.txt" >&2
  touch "$target/ready"
fi
echo "$target/bin/schemathesis"
