#!/usr/bin/env bash
# Tries the module ejabberd_megaphone with the ejabberd and Erlang of several of Debian's releases: runs the module's own tests, and the
# end-to-end tests in which clients talk through an ECM and the module, slixmpp, @xmpp/client, mcabber and go-sendxmpp among them.
# Prints what came of it as a table in Markdown, with the date. Exit status 0: all of it passed.
#
#   matrix.sh [--fresh] [RELEASE…]    RELEASE: bookworm, bookworm-backports, trixie or sid; all of them otherwise
#
# Each is installed from the mirror that apt uses here, into artifacts/matrix/RELEASE, and kept there for the next time; --fresh
# installs it anew. Nothing of it starts with this machine, and what runs in it has a network of its own (with-root.sh). The
# clients and Megaphone (out/megaphone, or $MEGAPHONE_BINARY) are this machine's, but for those of channel binding, which are the release's
# as far as it has them. Root only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/common.sh
. tests/mirror.sh

folder=$PWD/artifacts/matrix
releases=()
fresh=
for word; do
  case $word in
    --fresh) fresh=yes ;;
    bookworm | bookworm-backports | trixie | sid) releases+=("$word") ;;
    *) sed -n '2,/^set/{s/^# \{0,1\}//p}' "$0"; exit 2 ;;
  esac
done
(( ${#releases[@]} > 0 )) || releases=(bookworm bookworm-backports trixie sid)
(( EUID == 0 )) || fail "only root may install a release into a folder and run what is in it"

mkdir -p "$folder"
exec {lock}>"$folder/lock"
flock --nonblock "$lock" || fail "it is running already, in another terminal"

# install RELEASE: into its folder, if it is not there.
install() {
  local root=$folder/$1 suite=${1%-backports} lines
  [[ -z $fresh ]] || rm -rf --one-file-system "$root"
  [[ ! -d $root ]] || return 0
  [[ -n ${mirror:-} ]] || find_mirror "$folder"
  lines=("deb $mirror $suite main")
  [[ $1 == "$suite" ]] || lines+=("deb $mirror $1 main")
  rm -rf --one-file-system "$root.new"
  # A namespace of its own: what it mounts is gone with it, even if it is killed.
  step "installing $1" "$folder/$1.log" timeout --kill-after=10 1200 unshare --mount \
    mmdebstrap --mode=root --variant=apt --format=directory --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    --aptopt="$folder/apt.conf" --aptopt="APT::Default-Release \"$1\"" \
    --include=ejabberd,erlang-base,erlang-dev,erlang-eunit,erlang-proper,erlang-proper-dev,openssl \
    --include=ca-certificates,glib-networking,go-sendxmpp,python3-nbxmpp,python3-slixmpp \
    --customize-hook='echo "127.0.0.1 localhost" >"$1/etc/hosts"' \
    "$suite" "$root.new" "${lines[@]}"
  mv "$root.new" "$root"
}

# version RELEASE PACKAGE: as far as its authors give it.
version() { dpkg-query --admindir="$folder/$1/var/lib/dpkg" --show --showformat='${Version}' "$2" | sed -E 's/^[0-9]+://; s/[-+].*//'; }

# counted TITLE LOG PATTERN COMMAND…: runs the command, and sets `counts` to what came of it. PATTERN is for sed and turns the line with the
# counts into "PASSED passed, FAILED failed".
counted() {
  local log=$2 pattern=$3 status=0
  step "$1" "$log" timeout --kill-after=10 1200 "${@:4}" || status=$?
  counts=$(sed -nE "$pattern" "$log" | tail -n 1)
  (( status == 0 )) && [[ -n $counts ]] || all_passed=
  counts=${counts:-came to no end}
}

install_packages "$folder/apt.log" mmdebstrap
tests/clients/install.sh "$folder"
export MEGAPHONE_BINARY=${MEGAPHONE_BINARY:-$PWD/out/megaphone}
[[ -x $MEGAPHONE_BINARY ]] || ./publish.sh
end_to_end=(dotnet test tests/Megaphone.EndToEnd -c Release -tl:off -nodeReuse:false -p:UseSharedCompilation=false)
step "building the end-to-end tests" "$folder/build.log" "${end_to_end[@]}" --list-tests
# What depends on ejabberd. Crowds are a matter of size, and take long.
end_to_end+=(--no-build --filter '(FullyQualifiedName~.Module|FullyQualifiedName~.TlsModuleTests)&FullyQualifiedName!~Crowd')

all_passed=yes
rows=()
for release in "${releases[@]}"; do
  install "$release"
  root=$folder/$release
  counted "$release: the module's tests" "$folder/$release-module.log" 's/^([0-9]+ passed, [0-9]+ failed)$/\1/p' \
    tests/ejabberd/with-root.sh "$root" chroot "$root" "$PWD/tests/ejabberd_megaphone/run.sh"
  row="| $release | $(version "$release" ejabberd) | $(version "$release" erlang-base) | $counts"
  counted "$release: end-to-end tests" "$folder/$release-end-to-end.log" 's/.*Failed: +([0-9]+), Passed: +([0-9]+),.*/\2 passed, \1 failed/p' \
    tests/ejabberd/with-root.sh "$root" "${end_to_end[@]}"
  rows+=("$row | $counts |")
done

say
say "On $(date --iso-8601):"
say
say "| Debian | ejabberd | Erlang/OTP | the module's tests | end-to-end tests |"
say "|---|---|---|---|---|"
printf '%s\n' "${rows[@]}"
[[ -n $all_passed ]]
