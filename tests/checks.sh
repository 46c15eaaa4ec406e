# Checks that scripts make one after another: "ok" and "not ok" lines, and a total. Sourced after scripts/common.sh, never run; the
# script sets `work` to a folder for the log.

passed=0 failed=0

# check SENTENCE COMMAND…: whether the command succeeds. If not, the end of its output is printed.
check() {
  local sentence=$1
  shift
  if "$@" >"$work/check.log" 2>&1; then
    say "ok: $sentence"
    passed=$(( passed + 1 ))
  else
    say "not ok: $sentence"
    uniq "$work/check.log" | tail -n 10 | sed 's/^/    /'
    failed=$(( failed + 1 ))
  fi
}

# end_checks: prints the total; false if a check has failed.
end_checks() {
  say "$passed passed, $failed failed"
  (( failed == 0 ))
}
