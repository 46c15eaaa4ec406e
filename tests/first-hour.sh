#!/usr/bin/env bash
# Runs the commands of "Your first hour" in CONTRIBUTING.md, in one shell and in their order, as somebody new would.
# Prints an "ok" or "not ok" line for each; the last line is "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."
. scripts/common.sh
. tests/checks.sh

work=$(mktemp -d)
clean_up() {
  local pid
  for pid in $(jobs -p); do end_process "$pid" 5; done
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

mapfile -t commands < <(sed -n '/^## Your first hour$/,/^## /s/^    //p' CONTRIBUTING.md)
(( ${#commands[@]} > 0 )) || fail 'CONTRIBUTING.md has no commands under "Your first hour"'
for command in "${commands[@]}"; do check "${command%%  *}" eval "$command"; done
end_checks
