#!/usr/bin/env bash
# build_test.sh DIR: which ejabberd build.sh compiles the module for. Works in DIR; writes one line for each test, "passed: …"
# or "failed: …", and ends with 1 after the first that failed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../scripts/common.sh"

build=$here/../../src/ejabberd_megaphone/build.sh
dir=$1

# check TITLE COMMAND…: a test that passes if the command does.
check() { if "${@:2}"; then say "passed: $1"; else say "failed: $1"; exit 1; fi; }

# make_release FOLDER: lays this machine's ejabberd and Erlang out as a package of ProcessOne's does. Its Erlang says that it was used.
make_release() {
  local folder name
  mkdir -p "$1/bin" "$1/erts-1.0/bin" "$1/releases/1" "$1/lib"
  printf '#!/bin/sh\ntouch "%s/used"\nexec erl "$@"\n' "$1" >"$1/erts-1.0/bin/erl"
  chmod +x "$1/erts-1.0/bin/erl"
  : >"$1/bin/ejabberdctl"
  cp "$(echo /usr/lib/erlang/releases/*/start_clean.boot)" "$1/releases/1/"
  ln -s "$(sed -n "s/^ERL_LIBS='\(.*\)'/\1/p" /usr/sbin/ejabberdctl)"/ejabberd-* "$1/lib/"
  for name in xmpp:p1_xmpp fast_xml:p1_xml; do
    for folder in /usr/lib/erlang/lib/"${name#*:}"-*; do ln -s "$folder" "$1/lib/${name%:*}-${folder##*-}"; done
  done
}

is_compiled_by_its_own_erlang() {
  "$build" "$dir/modules" "$1/bin/ejabberdctl" >"$dir/build.log" 2>&1 || { cat "$dir/build.log"; return 1; }
  [[ -e $1/used && -s $dir/modules/ejabberd_megaphone/ebin/ejabberd_megaphone.beam ]]
}

# says_what_it_looked_for EJABBERDCTL: build.sh refuses, and names that file and one that would do.
says_what_it_looked_for() {
  ! "$build" "$dir/modules" "$1" >"$dir/build.log" 2>&1 &&
    grep -qxF "    $1" "$dir/build.log" && grep -qF 'build.sh DIR /opt/ejabberd-' "$dir/build.log"
}

# In a folder whose name shows what is not quoted.
make_release "$dir/opt of mine/ejabberd-24.12"
check "a package of ProcessOne's compiles the module with the Erlang that it brings along" \
  is_compiled_by_its_own_erlang "$dir/opt of mine/ejabberd-24.12"
check "without any ejabberd it is said what was looked for" says_what_it_looked_for "$dir/none/ejabberdctl"
say "#!/bin/sh" >"$dir/ejabberdctl"
check "an ejabberdctl that starts nothing known is no ejabberd" says_what_it_looked_for "$dir/ejabberdctl"
