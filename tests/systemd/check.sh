#!/usr/bin/env bash
# Checks the service under a real systemd: boots Debian 12 in user-mode Linux, installs the package there that packaging/deb.sh makes of the
# binary that ./publish.sh has made, and does what an operator does: start, reload, upgrade, wrong configurations, secrets and certificates as
# docs/operating.md has them, a crash, a stop (tests/systemd/inside.sh). Prints "ok" and "not ok" lines; the last line is "N passed, N failed".
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/common.sh
. scripts/uml.sh

if (( EUID != 0 )); then
  as_root "$0"
  exit
fi

[[ -x out/megaphone ]] || fail "there is no out/megaphone: run ./publish.sh first"
install_packages artifacts/apt.log dpkg-dev mmdebstrap openssl
need_uml
tar=$PWD/artifacts/systemd/root.tar
mkdir -p "${tar%/*}"
[[ -e $tar ]] || step "installing Debian 12 with systemd into a folder" artifacts/systemd/root.log mmdebstrap --variant=essential --format=tar \
  --include=init-system-helpers,libssl3,passwd,systemd-sysv bookworm "$tar.new"
[[ -e $tar ]] || mv "$tar.new" "$tar"

machine=
work=$(mktemp -d)
trap '[[ -z $machine ]] || end_process "$machine" 5; rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM
root=$work/root
mkdir "$root" "$work/run"
tar --extract --file "$tar" --directory "$root" --exclude './dev/*'
chmod 755 "$work" "$root"

for revision in 1 2; do
  packaging/deb.sh --revision "$revision" >"$work/deb.log" 2>&1 || { cat "$work/deb.log"; exit 1; }
  cp out/megaphone_*-"$revision"_amd64.deb "$root/$revision.deb"
done
for name in first second; do
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "/CN=$name.example.org" \
    -addext "subjectAltName=DNS:example.org" -keyout "$root/$name.key" -out "$root/$name.pem" 2>>"$work/openssl.log"
done
mkdir -p "$root"/{checks/scripts,checks/tests,etc/systemd/system/multi-user.target.wants}
cp docs/operating.md tests/systemd/inside.sh "$root/checks/"
cp scripts/common.sh "$root/checks/scripts/"
cp tests/checks.sh "$root/checks/tests/"
cat >"$root/etc/systemd/system/checks.service" <<'END'
[Unit]
After=multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/checks/inside.sh
StandardOutput=append:/result
StandardError=inherit
[Install]
WantedBy=multi-user.target
END
ln -s ../checks.service "$root/etc/systemd/system/multi-user.target.wants/"

execute_uml "$work/run" 480 mem=1G root=/dev/root rootfstype=hostfs rootflags="$root" rw init=/lib/systemd/systemd >"$work/console" 2>&1 &
machine=$!
status=0
wait "$machine" || status=$?
machine=
cat "$root/result" || true
if ! grep -q '^[0-9]* passed, [0-9]* failed$' "$root/result"; then
  say "the machine ended with status $status; the end of what it has said:"
  tail -n 30 "$work/console"
  say "0 passed, 1 failed"
  exit 1
fi
grep -q '^[0-9]* passed, 0 failed$' "$root/result"
