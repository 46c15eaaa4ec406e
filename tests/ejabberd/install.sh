#!/usr/bin/env bash
# install.sh LOG: installs Debian's ejabberd if it is missing, with its service disabled, now and at the next boot.
# An existing ejabberd is left as it is, service included.
set -euo pipefail
scripts=$(dirname "$0")/../../scripts
. "$scripts/common.sh"

is_installed ejabberd && exit 0

# Erlang's port mapper is a service too, and is installed with it.
services=ejabberd.service
is_installed erlang-base || services+=" epmd.service epmd.socket"
exec "$scripts/install-without-services.sh" "$1" "$services" ejabberd
