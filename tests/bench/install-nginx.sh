#!/usr/bin/env bash
# install-nginx.sh LOG: installs Debian's nginx with its stream module if they are missing, without the service: not now, not at
# the next boot. An nginx that was there before is left as it is, service included, and only gets the module.
set -euo pipefail
scripts=$(dirname "$0")/../../scripts
. "$scripts/common.sh"

if is_installed nginx; then
  install_packages "$1" libnginx-mod-stream
else
  "$scripts/install-without-services.sh" "$1" nginx.service nginx libnginx-mod-stream
fi
