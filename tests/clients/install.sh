#!/usr/bin/env bash
# install.sh FOLDER: installs the clients, of XMPP and of TLS, the browser and the proxies that the end-to-end tests use; its logs go into
# FOLDER. An existing Node.js need not be Debian's.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../scripts/common.sh"

logs=$1
install_packages "$logs/apt.log" \
  chromium curl gnutls-bin go-sendxmpp iproute2 libnss3-tools libssl3 mcabber openssl python3-slixmpp sslscan util-linux
"$here/../bench/install-nginx.sh" "$logs/apt.log"
is_installed haproxy || "$here/../../scripts/install-without-services.sh" "$logs/apt.log" haproxy.service haproxy
command -v node >/dev/null && command -v npm >/dev/null || install_packages "$logs/apt.log" nodejs npm
step "fetching @xmpp/client" "$logs/npm.log" npm ci --prefix "$here/xmppjs" --no-audit --no-fund --ignore-scripts
step "fetching clients for browsers" "$logs/npm.log" npm ci --prefix "$here/browsers" --no-audit --no-fund --ignore-scripts
