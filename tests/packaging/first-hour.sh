#!/usr/bin/env bash
# Does what "A first hour" in docs/operating.md says: runs its commands, in their order and as they stand there, in a Debian 12 in a folder of its
# own, with Debian's ejabberd and a client of Debian's, and the package that packaging/deb.sh makes of the binary that ./publish.sh has made.
#
# Two things are not there, and scripts stand in for them: systemd (tests/packaging/systemctl), and the authority that certbot asks for a
# certificate (tests/packaging/certbot). Prints an "ok" or "not ok" line for each command; the last line is "N passed, N failed".
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/common.sh
. tests/checks.sh
. tests/mirror.sh
. tests/packaging/chroot.sh

if (( EUID != 0 )); then
  as_root "$0"
  exit
fi

# A command ends with its line, unless that ends with a backslash, or with <<'END': then with the line END.
commands=()
read_commands() {
  local line command='' document=''
  while IFS= read -r line; do
    command+=$line
    [[ $line != *"<<'END'" ]] || document=yes
    [[ $line != END ]] || document=''
    if [[ -n $document || $line == *\\ ]]; then command+=$'\n'; else commands+=("$command") command=''; fi
  done < <(sed -n '/^## A first hour$/,/^## Install$/s/^    //p' docs/operating.md)
}
read_commands
(( ${#commands[@]} > 0 )) || fail 'docs/operating.md has no commands under "A first hour"'

# ---- what needs the network, and is kept for the next time ----

# What the commands install, but for Megaphone itself.
packages=()
for command in "${commands[@]}"; do
  [[ $command == "apt-get install "* ]] || continue
  for word in ${command#apt-get install}; do [[ $word == -* || $word == ./* ]] || packages+=("$word"); done
done
folder=$PWD/artifacts/packaging
tar=$folder/machine-$(sha256sum <<<"${packages[*]}" | head -c 8).tar
# As on a machine that was installed from the network: lists of packages are there, and the packages can be fetched.
make_machine() {
  local fetch="apt-get --yes --download-only --install-recommends install ${packages[*]}"
  mmdebstrap --variant=apt --format=tar --keyring=/usr/share/keyrings/debian-archive-keyring.gpg --aptopt="$folder/apt.conf" --skip=cleanup/apt \
    --include=ca-certificates,libssl3,systemd --customize-hook="chroot \"\$1\" $fetch" \
    bookworm "$tar.new" "deb $mirror bookworm main" && mv "$tar.new" "$tar"
}
if [[ ${1:-} != inside ]]; then
  [[ -x out/megaphone ]] || fail "there is no out/megaphone: run ./publish.sh first"
  mkdir -p "$folder"
  install_packages artifacts/apt.log dpkg-dev iproute2 mmdebstrap util-linux
  [[ -e $tar ]] || { find_mirror "$folder" && step "installing Debian 12 into a folder" "$folder/machine.log" make_machine; }
  alone "$0" inside
fi
unpack "$tar"

# ---- the first hour ----

stand_in() { install --mode=755 "tests/packaging/$1" "$root/usr/local/sbin/$1"; }
stand_in systemctl
stand_in certbot
say "127.0.0.1 localhost example.org" >"$root/etc/hosts"
: >"$root/etc/resolv.conf"
# Nobody needs what is written here after a loss of power.
say force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/test"
packaging/deb.sh >"$work/deb.log" 2>&1 || { cat "$work/deb.log"; exit 1; }
cp out/megaphone_*-1_amd64.deb "$root/root/"

# Each in a shell of its own, which waits for nothing that it has left in the background. What comes behind one that fails says nothing.
for command in "${commands[@]}"; do
  check "${command%%$'\n'*}" inside timeout --foreground 180 bash -c "$command"
  (( failed == 0 )) || break
done
end_checks
