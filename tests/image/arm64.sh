#!/usr/bin/env bash
# Compiles Megaphone for 64-bit ARM, makes Debian's package of that, and checks the image for that architecture, in an emulator.
# Prints "ok" and "not ok" lines; the last line is "N passed, N failed".
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/common.sh
. tests/checks.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

makes_package() { packaging/deb.sh linux-arm64 && [[ $(dpkg-deb --field out/megaphone_*_arm64.deb Architecture) == arm64 ]]; }
image_is_right() {
  local status=0
  tests/image/check.sh arm64 >"$work/image.log" 2>&1 || status=$?
  grep -v '^ok' "$work/image.log" || true
  return "$status"
}

check "the binary for 64-bit ARM is compiled, and starts" ./publish.sh linux-arm64
check "Debian's package of it is made" makes_package
check "its image has everything that it needs" image_is_right
end_checks
