#!/usr/bin/env bash
# install.sh FOLDER: installs the XMPP clients that the end-to-end tests use; its logs go into FOLDER. An existing Node.js need not be
# Debian's.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../scripts/common.sh"

logs=$1
install_packages "$logs/apt.log" go-sendxmpp iproute2 libssl3 mcabber openssl python3-slixmpp sslscan util-linux
command -v node >/dev/null && command -v npm >/dev/null || install_packages "$logs/apt.log" nodejs npm
step "fetching @xmpp/client" "$logs/npm.log" npm ci --prefix "$here/xmppjs" --no-audit --no-fund --ignore-scripts
