#!/usr/bin/env bash
# Makes a package for Debian 12 and newer of the binary that ./publish.sh has made: see --help.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/common.sh

usage="packaging/deb.sh [linux-x64 | linux-arm64] [--revision N] [--published CHECKOUT]

Makes out/megaphone_VERSION-N_ARCHITECTURE.deb of the binary that ./publish.sh, or ./publish.sh linux-arm64, has made, with the unit, the
configuration, man pages, completion for bash and zsh, alerts, a dashboard, and the sources of the module for ejabberd. The same from the
same binary and commit.

    --revision N           of the package, where the binary stays the same; default 1
    --published CHECKOUT   takes the binary that ./publish.sh has made in that folder

The maintainer is \$DEBFULLNAME <\$DEBEMAIL>, or else who made the commit."

usage_error() { say "$(basename "$0"): $*"$'\n\n'"$usage" >&2; exit 2; }

runtime=linux-x64 revision=1 published=.
while (( $# > 0 )); do
  case $1 in
    --help) say "$usage"; exit ;;
    --revision) revision=${2-}; [[ $revision =~ ^[0-9]+$ ]] || usage_error "--revision: expected a number, for example 2"; shift ;;
    --published) published=${2-}; [[ -n $published ]] || usage_error "--published: expected a folder in which ./publish.sh has run"; shift ;;
    linux-x64 | linux-arm64) runtime=$1 ;;
    *) usage_error "$1 is neither linux-x64 nor linux-arm64, nor an option" ;;
  esac
  shift
done

install_packages artifacts/apt.log binutils dpkg python3
case $runtime in
  linux-x64) architecture=amd64 binary=$published/out/megaphone start=("$binary") ;;
  linux-arm64) architecture=arm64 binary=$published/out/linux-arm64/megaphone start=(qemu-aarch64-static -L /usr/aarch64-linux-gnu "$binary") ;;
esac
[[ -x $binary ]] || fail "there is no $binary: run ./publish.sh $runtime first"
version=$("${start[@]}" --version) || fail "$binary does not start"
version=${version#megaphone }

SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
maintainer="${DEBFULLNAME:-$(git log -1 --format=%cn)} <${DEBEMAIL:-$(git log -1 --format=%ce)}>"
package=out/megaphone_$version-${revision}_$architecture.deb

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
umask 022
chmod 755 "$root"

# put MODE FILE PATH: copies a file into the package.
put() { install -D --mode="$1" "$2" "$root/$3"; }
# packed FILE: compresses a file of the package.
packed() { gzip --no-name --best "$root/$1"; }

put 755 "$binary" usr/bin/megaphone
put 644 packaging/megaphone.json etc/megaphone/megaphone.json
put 644 packaging/megaphone.service usr/lib/systemd/system/megaphone.service
put 644 packaging/debian/sysusers usr/lib/sysusers.d/megaphone.conf
put 644 packaging/prometheus/megaphone.rules.yml usr/share/megaphone/prometheus/megaphone.rules.yml
put 644 packaging/grafana/megaphone.json usr/share/megaphone/grafana/megaphone.json
# Beside each other as in the repository: the module's build.sh expects that.
put 644 scripts/common.sh usr/share/megaphone/scripts/common.sh
mkdir "$root/usr/share/megaphone/src"
cp --recursive --no-preserve=mode src/ejabberd_megaphone "$root/usr/share/megaphone/src/"
chmod 755 "$root/usr/share/megaphone/src/ejabberd_megaphone/build.sh"

# ---- what is made from the binary's own help ----

made=$(mktemp -d)
trap 'rm -rf "$root" "$made"' EXIT
packaging/debian/manual.py "$made" "$(date --utc --date="@$SOURCE_DATE_EPOCH" +%Y-%m-%d)" packaging/megaphone.json "${start[@]}"
packaging/debian/completion.py "$made" "${start[@]}"
put 644 "$made/megaphone.1" usr/share/man/man1/megaphone.1
put 644 "$made/megaphone.json.5" usr/share/man/man5/megaphone.json.5
put 644 "$made/megaphone.bash" usr/share/bash-completion/completions/megaphone
put 644 "$made/_megaphone" usr/share/zsh/vendor-completions/_megaphone
packed usr/share/man/man1/megaphone.1
packed usr/share/man/man5/megaphone.json.5

# ---- what Debian wants of every package ----

doc=usr/share/doc/megaphone
put 644 docs/operating.md "$doc/operating.md"
put 644 CHANGELOG.md "$doc/changelog"
packed "$doc/changelog"
cat >"$root/$doc/changelog.Debian" <<END
megaphone ($version-$revision) stable; urgency=medium

  * Version $version: see changelog.gz.

 -- $maintainer  $(LC_ALL=C date --utc --date="@$SOURCE_DATE_EPOCH" --rfc-email)
END
packed "$doc/changelog.Debian"

# The notices of what is compiled into the binary.
scripts/sbom.py "$published" "$runtime" "$version" "$(date --utc --date="@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)" /dev/null "$root/$doc/licences"
cat >"$root/$doc/copyright" <<END
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: megaphone
Comment: The folder licences beside this file has the licences and notices
 of what is compiled into the binary: the .NET runtime and ASP.NET Core.

Files: *
Copyright: $(sed -n 's/^Copyright (c) //p' LICENSE)
License: Expat
$(sed -n '/^Permission/,$ { s/^$/./; s/^/ /; p }' LICENSE)
END
put 644 packaging/debian/lintian-overrides usr/share/lintian/overrides/megaphone

for script in postinst prerm postrm; do put 755 "packaging/debian/$script" "DEBIAN/$script"; done
say /etc/megaphone/megaphone.json >"$root/DEBIAN/conffiles"
cat >"$root/DEBIAN/control" <<END
Package: megaphone
Version: $version-$revision
Architecture: $architecture
Maintainer: $maintainer
Installed-Size: $(du --summarize --apparent-size --block-size=1024 --exclude=DEBIAN "$root" | cut -f 1)
Depends: libc6 (>= 2.36), libssl3 | libssl3t64, systemd | systemd-standalone-sysusers | systemd-sysusers
Recommends: ca-certificates
Suggests: ejabberd
Section: net
Priority: optional
Description: connection multiplexer for XMPP servers
 Megaphone holds the connections of an XMPP server's clients, over TCP or
 WebSocket, with or without TLS, in a few dozen bytes each, and multiplexes
 their streams over a few connections, the links. They end in ejabberd, in a
 module whose sources are in this package, or in a hub, which opens a
 connection to any XMPP server for each session.
 .
 The service is installed, and neither enabled nor started: configure it, and
 let "megaphone check" say whether the machine is sufficient.
END
(cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort --zero-terminated | xargs --null md5sum) >"$root/DEBIAN/md5sums"

mkdir -p out
rm -f "$package"
dpkg-deb --root-owner-group -Zxz --build "$root" "$package" >/dev/null
say "$package: $(stat --format=%s "$package" | numfmt --to=si --round=nearest --format=%.1f)B"
