#!/usr/bin/env bash
# Checks Debian's package: makes it with packaging/deb.sh of the binary that ./publish.sh has made, and in a chroot of Debian 12 installs it,
# runs the service as the unit says, upgrades it under a client that is connected, removes and purges it.
#
# There is no systemd in the chroot. A systemctl of a few lines stands in for it (tests/packaging/systemctl), which does what the unit's
# lines say. Prints "ok" and "not ok" lines; the last line is "N passed, N failed".
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/common.sh
. tests/checks.sh
. tests/packaging/chroot.sh

if (( EUID != 0 )); then
  as_root "$0"
  exit
fi

# ---- what needs the network, and is kept for the next time ----

tar=$PWD/artifacts/packaging/root.tar
if [[ ${1:-} != inside ]]; then
  [[ -x out/megaphone ]] || fail "there is no out/megaphone: run ./publish.sh first"
  install_packages artifacts/apt.log dpkg-dev iproute2 lintian mmdebstrap util-linux
  mkdir -p "${tar%/*}"
  # zsh and bash-completion are there for the completion.
  [[ -e $tar ]] || step "installing Debian 12 into a folder" artifacts/packaging/root.log mmdebstrap --variant=essential --format=tar \
    --include=bash-completion,libssl3,systemd-standalone-sysusers,zsh bookworm "$tar.new"
  [[ -e $tar ]] || mv "$tar.new" "$tar"
  alone "$0" inside
fi
unpack "$tar"

# ---- helpers ----

# make REVISION: makes the package, and sets `package` to its path.
make() {
  packaging/deb.sh --revision "$1" >"$work/deb.log" 2>&1 || { cat "$work/deb.log"; return 1; }
  package=$(echo out/megaphone_*-"$1"_amd64.deb)
  cp "$package" "$root/megaphone.deb"
}
made_again() { cp "$package" "$work/first.deb" && touch packaging/megaphone.json && make 1 && cmp "$package" "$work/first.deb"; }

# files: all of them, but for what dpkg keeps and what a user leaves who, as is usual, outlives the package.
files() {
  (cd "$root" && find . -xdev ! -path './var/lib/dpkg/*' ! -path './var/log/*' ! -path './megaphone.deb') |
    grep -vE '^\./etc/(\.pwd\.lock|(group|gshadow|passwd|shadow)-?)$' | sort
}
state() { inside dpkg-query --show --showformat='${db:Status-Status} ${Version}' megaphone; }
was_neither_started_nor_enabled() {
  ! grep -qE '\b(re)?start\b' "$root/systemctl.log" && [[ ! -e $root/etc/systemd/system/multi-user.target.wants ]]
}
has_conffile() { inside dpkg-query --show --showformat='${Conffiles}' megaphone | grep -q '^ /etc/megaphone/megaphone.json '; }

# page NAME: what a man page says.
page() { zcat "$root/usr/share/man/$1.gz"; }
describes_every_key() {
  local key count=0
  while read -r key _; do
    page man5/megaphone.json.5 | grep -qxF "\\fB$key\\fR" || { say "$key is not described"; return 1; }
    (( ++count ))
  done < <(out/megaphone --help | grep -E '^  (Ecm|Hub|Admin|Service|Logging)\b')
  (( count > 100 ))
}
describes_every_command() {
  local command
  for command in $(out/megaphone --help | sed -nE 's/^  megaphone \[?([a-z]+).*/\1/p') $(bench_modes); do
    page man1/megaphone.1 | grep -qE "^(megaphone \[?$command|\.SS ${command/-/.*})\b" || { say "$command is not described"; return 1; }
  done
}
bench_modes() { out/megaphone bench --help | sed -n '/^Modes:/,/^$/s/^  \([a-z-]*\) .*/\1/p'; }

# completes SHELL LINE EXPECTED: whether the shell completes the line's last word to these words, in any order.
completes() {
  local said
  said=$(inside "$1" -c "$(cat "tests/packaging/complete.$1")" "$1" "$2" | sort | tr '\n' ' ')
  say "$said"
  [[ $said == "$(tr ' ' '\n' <<<"$3" | sort | tr '\n' ' ')" ]]
}

start() { inside systemctl enable --now megaphone && service=$(cat "$root/service.pid"); }
id_of() { inside id "-$1" megaphone; }
runs_as_its_user() { [[ $(stat --format=%u:%g "/proc/$service") == "$(id_of u):$(id_of g)" ]]; }
# The bit of CAP_NET_BIND_SERVICE is 10.
may_do_nothing_else() { [[ $(sed -nE 's/^Cap(Prm|Eff|Bnd|Amb):\t//p' "/proc/$service/status" | uniq) == 0000000000000400 ]]; }

connect() { exec {client}<>"/dev/tcp/127.0.0.1/$1"; }
is_echoed() {
  local answer
  say "$1" >&"$client"
  read -r -t 10 answer <&"$client" && [[ $answer == "$1" ]]
}
reloads() { http_get 127.0.0.1 6281 /metrics | sed -n "s/^megaphone_reloads_total{result=\"$1\"} //p"; }
is_reloaded() { [[ $(reloads "$1") == "$2" ]] && is_alive "$service"; }
upgrade() { make "$1" && inside dpkg --install /megaphone.deb; }
says_that_it_was_not_reloaded() {
  inside dpkg --install /megaphone.deb >"$work/upgrade.log" 2>&1 && grep -q 'the version that ran before still runs' "$work/upgrade.log"
}
left_behind() { diff "$work/before" <(files); }

# ---- the package ----

check "the package is made" make 1
check "a second run makes the same, byte by byte" made_again
check "lintian has nothing against it" lintian --fail-on error,warning "$package"

# ---- installed ----

install --mode=755 tests/packaging/systemctl "$root/usr/bin/systemctl"
mkdir -p "$root/run/systemd/system"
files >"$work/before"
check "it is installed" inside dpkg --install /megaphone.deb
check "with a user of its own" grep -q '^megaphone:.*:/usr/sbin/nologin$' "$root/etc/passwd"
check "and neither started nor enabled" was_neither_started_nor_enabled
check "the configuration is one that an administrator may change" has_conffile
check "the files are those of the package" inside dpkg --verify megaphone
check "megaphone.json(5) describes every key" describes_every_key
check "megaphone(1) describes every command, and every mode of the load generator" describes_every_command
for shell in bash zsh; do
  check "$shell completes commands" completes "$shell" "megaphone rel" reload
  check "$shell completes the options of commands" completes "$shell" "megaphone status --" "--Admin:Socket --config --json"
  check "$shell completes keys" completes "$shell" "megaphone --Ecm:Clients:1:T" --Ecm:Clients:1:Tls
  check "$shell completes the values of keys" completes "$shell" "megaphone check --Ecm:Clients:1:Tls " "direct none starttls"
  check "$shell completes files" completes "$shell" "megaphone check --config /etc/mega" FILES
  check "$shell completes options of the load generator" completes "$shell" "megaphone bench echo --sec" --seconds
done

# ---- run ----

cat >"$root/etc/megaphone/megaphone.json" <<'END'
{ "Ecm": { "Clients": [ { "Listen": "0.0.0.0:443" }, { "Listen": "0.0.0.0:5222" } ] }, "Hub": true }
END
cp "$root/etc/megaphone/megaphone.json" "$work/changed.json"
check "the service starts with the unit's rights" start
check "as its user" runs_as_its_user
check "with one capability" may_do_nothing_else
check "a client connects to port 443" connect 443
check "and is served" is_echoed "is anybody there?"

# ---- upgraded ----

check "an upgrade is installed" upgrade 2
check "whose binary has taken over" is_reloaded done 1
check "with the client connected" is_echoed "still there?"
check "the changed configuration is what it was" cmp "$root/etc/megaphone/megaphone.json" "$work/changed.json"
say '{ "Ecm": { "Wrong": 1 } }' >"$root/etc/megaphone/megaphone.json"
check "one that cannot take over is installed, too, and says so" says_that_it_was_not_reloaded
check "all goes on as it was" is_reloaded refused 1
check "with the client connected" is_echoed "and now?"

# ---- removed ----

check "it is removed" inside dpkg --remove megaphone
check "the service has ended" wait_until 60 is_gone "$service"
check "the configuration is kept" test "$(state)" = "config-files $(inside dpkg-deb --field /megaphone.deb Version)"
check "it is purged" inside dpkg --purge megaphone
rm -rf "$root/run/megaphone"
check "nothing is left of it" left_behind
end_checks
