#!/usr/bin/env bash
# Installs what the tests need, publishes the binary, and runs all tests: unit, end-to-end against that binary, module, image, package,
# release, earlier versions. The last line is the total of passed and failed tests; exit status 0 if some passed and none failed.
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
  say "== took $(( SECONDS - began )) s"
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

# The end-to-end tests wait more than they compute, so others run beside them, one after the other, and are reported afterwards.
# keep NAME COMMAND…: runs the command, and keeps its output and exit status for `kept NAME`.
keep() {
  local name=$1 status=0
  shift
  "$@" >"artifacts/$name.log" 2>&1 </dev/null || status=$?
  say "$status" >"artifacts/$name.status"
}
kept() {
  cat "artifacts/$1.log"
  return "$(cat "artifacts/$1.status")"
}
run_others() {
  keep module tests/ejabberd_megaphone/run.sh
  keep image tests/image/check.sh
  keep packaging tests/packaging/check.sh
  keep release tests/release/check.sh
  keep versions tests/versions/check.sh
  keep format check_format
}

export MEGAPHONE_BINARY=$PWD/out/megaphone
run_counted "build" "$plain_counts" build_all
run_counted "unit tests" "$dotnet_counts" dotnet_test tests/Megaphone.Tests
rm -f artifacts/*.status
# A process group of its own, so that all of it can be killed: a background command does not get Ctrl-C.
set -m
run_others &
set +m
others=$!
trap 'kill -- "-$others" 2>/dev/null || true' EXIT
run_counted "end-to-end tests of $MEGAPHONE_BINARY" "$dotnet_counts" dotnet_test tests/Megaphone.EndToEnd
wait "$others" || true
trap - EXIT
run_counted "the module for ejabberd" "$plain_counts" kept module
run_counted "image" "$plain_counts" kept image
run_counted "package" "$plain_counts" kept packaging
run_counted "release" "$plain_counts" kept release
run_counted "other versions" "$plain_counts" kept versions
run_counted "format" "$plain_counts" kept format
# Both publish, and use the default ports: alone.
run_counted "the first hour of somebody new" "$plain_counts" tests/first-hour.sh
run_counted "joining in a browser" "$plain_counts" tests/run-web.sh
finish
