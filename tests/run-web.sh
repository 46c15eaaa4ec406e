#!/usr/bin/env bash
# Has Juliet join in a browser, on the page that `run.sh --web` serves. The last line is "N passed, N failed". Uses the default ports.
set -uo pipefail
cd "$(dirname "$0")/.."
. scripts/common.sh
. tests/checks.sh

work=$(mktemp -d)
run=''
clean_up() {
  [[ -z $run ]] || end_process "$run" 30
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

env --default-signal ./run.sh --web >"$work/run.log" 2>&1 </dev/null &
run=$!
is_up() { grep -q '^Up until' "$work/run.log" || is_gone "$run"; }
wait_until 300 is_up || true
page=$(sed -n 's/.*in a browser: //p' "$work/run.log")
password=$(sed -n 's/.*juliet@localhost, password //p' "$work/run.log")
check "./run.sh --web has a page" test -n "$page" || cat "$work/run.log"
check "Juliet logs in there" node tests/clients/browsers/join.mjs "$page" juliet@localhost "$password"
kill -TERM "$run"
check "it ends when it is told to" wait "$run"
run=''
end_checks
