#!/usr/bin/env bash
# Runs the commands of "Your first hour" in CONTRIBUTING.md, in one shell and in their order, as somebody new would.
# Prints an "ok" or "not ok" line for each; the last line is "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."
. scripts/common.sh

mapfile -t commands < <(sed -n '/^## Your first hour$/,/^## /s/^    //p' CONTRIBUTING.md)
log=$PWD/artifacts/first-hour.log passed=0 failed=0
mkdir -p artifacts
trap 'for pid in $(jobs -p); do end_process "$pid" 5; done' EXIT
trap 'exit 130' INT TERM

for command in "${commands[@]}"; do
  if eval "$command" >"$log" 2>&1 </dev/null; then
    say "ok: $command"
    passed=$(( passed + 1 ))
  else
    say "not ok: $command"
    tail -n 15 "$log" | sed 's/^/    /'
    failed=$(( failed + 1 ))
  fi
done

say "$passed passed, $failed failed"
(( passed > 0 && failed == 0 ))
