#!/usr/bin/env bash
# Builds the module and runs the tests that need no running ejabberd: packets, PROXY headers, XML, the processes of a link,
# sleep, and which ejabberd is built for. The last line says how many tests passed and failed. (Inside a running ejabberd the
# module is tested by tests/Megaphone.EndToEnd.)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../scripts/common.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/../ejabberd/install.sh" "$work/apt.log"
install_packages "$work/apt.log" erlang-base erlang-dev erlang-eunit erlang-proper erlang-proper-dev

"$here/../../src/ejabberd_megaphone/build.sh" "$work"
libraries=$(sed -n "s/^ERL_LIBS='\(.*\)'/\1/p" /usr/sbin/ejabberdctl)
mkdir "$work/tests" "$work/include"
# Debian's folders are named p1_xml-VERSION and the like.
ln -s "$(echo /usr/lib/erlang/lib/p1_xml-*)" "$work/include/fast_xml"
ln -s "$(echo /usr/lib/erlang/lib/p1_xmpp-*)" "$work/include/xmpp"
export ERL_LIBS=$libraries
erlc -Werror -I "$here/../../src/ejabberd_megaphone/include" -I "$work/include" -pa "$work/ejabberd_megaphone/ebin" \
  -o "$work/tests" "$here"/*.erl

cd "$work"
# Erlang. By itself EUnit gives a test five seconds, which on a loaded machine go by while it loads the code for TLS.
run='
  Modules = [list_to_atom(filename:basename(File, ".beam")) || File <- filelib:wildcard("tests/*_tests.beam")],
  Tests = fun(Module, Suffix) ->
      [Function || {Function, 0} <- Module:module_info(exports), lists:suffix(Suffix, atom_to_list(Function))]
    end,
  _ = eunit:test([{atom_to_list(Module), [{timeout, 120, {Module, Test}} || Test <- Tests(Module, "_test")]
                                         ++ [{generator, Module, Test} || Test <- Tests(Module, "_test_")]} || Module <- Modules],
                 [{print_depth, 100}]),
  init:stop().'
timeout 480 erl -noinput -pa tests ejabberd_megaphone/ebin -eval "$run" | tee tests.log || true

# EUnit says "All 152 tests passed." or "Failed: 2.  Skipped: 0.  Passed: 150."; nothing of it if the run came to no end.
counts=$(sed -nE 's/.*All ([0-9]+) tests passed.*/\1 0/p; s/.*Failed: ([0-9]+)\..*Passed: ([0-9]+)\..*/\2 \1/p' tests.log)
read -r passed failed <<<"${counts:-0 1}"
# A test that took too long is in neither count, and ends the run.
! grep -q 'tests were cancelled' tests.log || (( ++failed ))

mkdir "$work/build"
"$here/build_test.sh" "$work/build" | tee build.log || (( ++failed ))
(( passed += $(grep -c '^passed: ' build.log || true) ))
say "$passed passed, $failed failed"
(( passed > 0 && failed == 0 ))
