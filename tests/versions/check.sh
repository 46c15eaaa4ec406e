#!/usr/bin/env bash
# Checks that this version and v0.1.0, which knows sections 1 to 6 of the link protocol and no more, understand each other: the ECM of each with
# the hub and the module of the other. v0.1.0 is built once. Prints "ok" and "not ok" lines; the last line is "N passed, N failed".
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/common.sh
. tests/checks.sh

release=v0.1.0
# The last commit of that version, for clones without tags.
commit=2f1be7175cfa2bfaf9adcdb93643d708cc36ff6d
if ! git cat-file -e "$commit^{commit}"; then
  say "$release, commit $commit, is not in this clone (git fetch --unshallow): nothing is checked"
  say "0 passed, 0 failed"
  exit
fi
[[ -x out/megaphone ]] || fail "there is no out/megaphone: run ./publish.sh first"
mkdir -p artifacts/versions
tests/ejabberd/install.sh artifacts/apt.log
install_packages artifacts/apt.log python3-slixmpp

work=$(mktemp -d)
# Not below a folder that only root may enter: ejabberd has to reach it.
chmod 755 "$work"
pids=() started=0 server=''
clean_up() {
  stop_all
  rm -rf "$work"
}
stop_all() {
  local pid
  for pid in "${pids[@]}"; do end_process "$pid" 5; done
  pids=()
  [[ -z $server ]] || tests/ejabberd/ejabberd.sh stop "$server"
  server=''
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# ---- both versions ----

old=$PWD/artifacts/versions/$release
publish_old() {
  rm -rf "$old.new"
  mkdir "$old.new"
  git archive "$commit" | tar --extract --directory "$old.new"
  "$old.new/publish.sh"
  mv "$old.new" "$old"
}
[[ -x $old/out/megaphone ]] || step "compiling $release" artifacts/versions/publish.log publish_old
"$old/src/ejabberd_megaphone/build.sh" "$work/$release" >"$work/module.log"
src/ejabberd_megaphone/build.sh "$work/new" >>"$work/module.log"
declare -A binary=([old]=$old/out/megaphone [new]=out/megaphone) module=([old]=$work/$release [new]=$work/new)

# ---- what is done with them ----

# start WHICH OPTION…: starts the binary, and sets `at` to where it listens; for an ECM, when its link is up.
start() {
  local log=$work/$(( ++started )).log
  "${binary[$1]}" --Admin:Listen 127.0.0.1:0 "${@:2}" >"$log" 2>&1 </dev/null &
  pids+=("$!")
  wait_until 60 grep -qE '^megaphone ready hub=|Link .* is up' "$log" || { cat "$log"; return 1; }
  at=$(sed -nE 's/^megaphone ready (ecm|hub)=([^ ]*).*/\2/p' "$log")
}

# echoes ECM HUB: whether everything comes back from the hub.
echoes() {
  start "$2" --Hub:Listen 127.0.0.1:0 &&
    start "$1" --Ecm:Clients:0:Listen 127.0.0.1:0 --Ecm:Link:To "$at" &&
    out/megaphone bench echo --to "$at" --connections 100 --seconds 1
}

# chats ECM MODULE: whether two users of an ejabberd with the module get all their messages.
chats() {
  server=$work/ejabberd
  rm -rf "$server"
  EJABBERD_MEGAPHONE=1 EJABBERD_MODULE=${module[$2]} tests/ejabberd/ejabberd.sh start "$server" >"$work/settings" || return 1
  tests/ejabberd/ejabberd.sh register "$server" juliet j romeo r &&
    start "$1" --Ecm:Clients:0:Listen 127.0.0.1:0 --Ecm:Clients:0:Framing stanza \
      --Ecm:Link:To "127.0.0.1:$(sed -n 's/^LINK_PORT=//p' "$work/settings")" &&
    tests/ejabberd/chat.py --port "${at#*:}" --password j r --ca "$server/localhost.crt" --starttls disabled --count 100 --timeout 60
}

for pair in "old new" "new old"; do
  read -r ecm other <<<"$pair"
  check "the $ecm ECM and the $other hub echo" echoes "$ecm" "$other"
  stop_all
  check "users chat through the $ecm ECM and the $other module" chats "$ecm" "$other"
  stop_all
done
end_checks
