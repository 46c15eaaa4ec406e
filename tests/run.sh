#!/usr/bin/env bash
# Installs what the tests need, publishes the binary, and runs all tests: unit, end-to-end against that binary, module, the documents' first
# hours, package, systemd, image, release, earlier versions. The last line is the total of passed and failed tests; exit status 0 if some passed
# and none failed.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/common.sh

log=artifacts/test.log bad_ones=artifacts/failed.log
passed=0 failed=0
finish() {
  say "== all of it took $SECONDS s"
  [[ ! -s $bad_ones ]] || { say "== these failed" && cat "$bad_ones"; }
  say "$passed passed, $failed failed"
  (( passed > 0 && failed == 0 )) || exit 1
}

# run_counted TITLE PATTERN COMMAND…: runs the command, printing its output, and adds up the counts in it. PATTERN is
# for sed and turns a line with counts into "PASSED FAILED". A command that fails without a count is one failure.
run_counted() {
  local title=$1 pattern=$2 status=0 good bad all_bad=0 began=$SECONDS
  shift 2
  say "== $title"
  "$@" 2>&1 </dev/null | tee "$log" || status=$?
  while read -r good bad; do
    passed=$(( passed + good )) all_bad=$(( all_bad + bad ))
  done < <(sed -nE "$pattern" "$log")
  (( status == 0 || all_bad > 0 )) || all_bad=1
  # Named once more at the end, where they are found: as `dotnet test` prints them, tests/checks.sh, and EUnit.
  (( all_bad == 0 )) || { say "$title:" && grep -E -A 5 '^  Failed |^(not ok|failed): |\*failed\*' "$log"; } >>"$bad_ones" || true
  failed=$(( failed + all_bad ))
  (( SECONDS == began )) || say "== took $(( SECONDS - began )) s"
}
dotnet_counts='s/.*Failed: +([0-9]+), Passed: +([0-9]+),.*/\2 \1/p'
plain_counts='s/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p'

# Some projects have no tests: the attacks, the benchmarks, the fuzzers.
build_all() {
  dotnet build Megaphone.sln -c Release -tl:off -nodeReuse:false -p:UseSharedCompilation=false && say "1 passed, 0 failed"
}

dotnet_test() {
  dotnet test "$1" --no-build -c Release -tl:off -nodeReuse:false --blame-hang-timeout 3m --blame-hang-dump-type none
}

mkdir -p artifacts
: >"$bad_ones"
if ! ./publish.sh || ! tests/ejabberd/install.sh artifacts/apt.log || ! tests/clients/install.sh artifacts || ! tests/promtool.sh
then
  failed=1
  finish
fi

check_format() {
  dotnet format --verify-no-changes Megaphone.sln && say "1 passed, 0 failed"
}

run_counted "build" "$plain_counts" build_all
run_counted "unit tests" "$dotnet_counts" dotnet_test tests/Megaphone.Tests

# The end-to-end tests wait more than they compute, so what is left runs beside them, one after the other, and they are reported last. They use a
# copy, for the first hour publishes again. A process group of its own, so that all of it can be killed: a background command does not get Ctrl-C.
export MEGAPHONE_BINARY=$PWD/artifacts/tested/megaphone
mkdir -p "${MEGAPHONE_BINARY%/*}"
cp out/megaphone "$MEGAPHONE_BINARY"
set -m
dotnet_test tests/Megaphone.EndToEnd >artifacts/end-to-end.log 2>&1 </dev/null &
set +m
end_to_end=$! end_to_end_status=0
trap 'kill -- "-$end_to_end" 2>/dev/null || true' EXIT
run_counted "the module for ejabberd" "$plain_counts" tests/ejabberd_megaphone/run.sh
run_counted "the first hour of an operator" "$plain_counts" tests/packaging/first-hour.sh
run_counted "package" "$plain_counts" tests/packaging/check.sh
run_counted "the service under systemd" "$plain_counts" tests/systemd/check.sh
run_counted "image" "$plain_counts" tests/image/check.sh
run_counted "release" "$plain_counts" tests/release/check.sh
run_counted "other versions" "$plain_counts" tests/versions/check.sh
run_counted "format" "$plain_counts" check_format
# They use the default ports, which no end-to-end test does outside a network of its own. The first one publishes: others that use out/ are done.
run_counted "the first hour of somebody new" "$plain_counts" tests/first-hour.sh
run_counted "joining in a browser" "$plain_counts" tests/run-web.sh
wait "$end_to_end" || end_to_end_status=$?
trap - EXIT
ended() { cat artifacts/end-to-end.log && return "$end_to_end_status"; }
run_counted "end-to-end tests of a copy of out/megaphone" "$dotnet_counts" ended
finish
