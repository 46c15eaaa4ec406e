#!/usr/bin/env bash
# Prepares artifacts/promtool, which checks /metrics: extracted from Debian's package prometheus, which is not
# installed, because that would start a server. Does nothing if it exists.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/common.sh

promtool=artifacts/promtool
! [[ -x $promtool ]] || exit 0

fetch() {
  local folder
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  # Downloading needs no root, but the package lists may be too old.
  (cd "$folder" && apt-get --quiet download prometheus) ||
    { as_root apt-get --quiet update && (cd "$folder" && apt-get --quiet download prometheus); }
  dpkg-deb --fsys-tarfile "$folder"/prometheus_*.deb | tar --extract --directory "$folder" ./usr/bin/promtool
  mv "$folder/usr/bin/promtool" "$promtool"
}

command -v apt-get >/dev/null || fail "please copy Prometheus's promtool to $promtool (no apt-get here)"
mkdir -p artifacts
step "fetching promtool" artifacts/promtool.log fetch
