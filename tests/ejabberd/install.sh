#!/usr/bin/env bash
# install.sh LOG: installs Debian's ejabberd if it is missing, without its service: not now, not at the next boot.
# An ejabberd that was there before is left as it is, service included.
set -euo pipefail
scripts=$(dirname "$0")/../../scripts
. "$scripts/common.sh"

is_installed ejabberd && exit 0

# Erlang's port mapper is a service too, and comes along.
services=ejabberd.service
is_installed erlang-base || services+=" epmd.service epmd.socket"
exec "$scripts/install-without-services.sh" "$1" "$services" ejabberd
