#!/usr/bin/env bash
# Tries TLS at the ECM with all the TLS of others that there is a test for: what the end-to-end tests use anyhow, and Java's and Go's, which are
# too large for that. Prints what came of it as a table in Markdown, with the date. Exit status 0: all of it passed.
#
#   peers.sh
#
# Megaphone is out/megaphone, or $MEGAPHONE_BINARY.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/common.sh

(( $# == 0 )) || { sed -n '2,/^set/{s/^# \{0,1\}//p}' "$0"; exit 2; }
folder=$PWD/artifacts/tls-peers
peers=$folder/peers
mkdir -p "$peers"
tests/clients/install.sh "$folder"
command -v javac >/dev/null || install_packages "$folder/apt.log" default-jdk-headless
command -v go >/dev/null || install_packages "$folder/apt.log" golang-go
step "compiling for Java" "$folder/java.log" javac -d "$peers" tests/clients/tls/Peer.java
step "compiling for Go" "$folder/go.log" env GOFLAGS=-mod=mod GOTOOLCHAIN=local go build -o "$peers/peer-go" tests/clients/tls/peer.go

export MEGAPHONE_BINARY=${MEGAPHONE_BINARY:-$PWD/out/megaphone} MEGAPHONE_TLS_PEERS=$peers
[[ -x $MEGAPHONE_BINARY ]] || ./publish.sh
status=0
step "playing" "$folder/test.log" \
  dotnet test tests/Megaphone.EndToEnd -c Release -tl:off -nodeReuse:false -p:UseSharedCompilation=false \
  --filter 'FullyQualifiedName~.TlsPeerTests' --logger 'console;verbosity=normal' || status=$?

# count PATTERN: tests with this in their line, as "PASSED passed, FAILED failed".
count() {
  say "$(grep -cE "^ +Passed .*$1" "$folder/test.log") passed, $(grep -cE "^ +Failed .*$1" "$folder/test.log") failed"
}
package() { dpkg-query --show --showformat='${Version}' "$1" | sed -E 's/^[0-9]+://; s/[-+~].*//'; }

say
say "On $(date --iso-8601):"
say
say "| TLS of | version | tests |"
say "|---|---|---|"
say "| OpenSSL | $(openssl version | cut -d' ' -f2) | $(count OpenSSL_) |"
say "| GnuTLS | $(package gnutls-bin) | $(count GnuTLS_) |"
say "| NSS | $(package libnss3-tools) | $(count NSS_) |"
say "| Python | $(/usr/bin/python3 --version | cut -d' ' -f2) | $(count Python) |"
say "| Node.js | $(node --version | tr -d v) | $(count 'Node\.js') |"
say "| Go | $(go version | sed -E 's/.*go([0-9.]+) .*/\1/') | $(count '"Go"') |"
say "| Java | $(java -version 2>&1 | sed -nE '1s/.*"(.*)".*/\1/p') | $(count Java) |"
exit "$status"
