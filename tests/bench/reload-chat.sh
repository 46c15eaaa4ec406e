#!/usr/bin/env bash
# Users chat while their ECM is reloaded again and again. --help says more. Needs root, for a network namespace.
. "$(dirname "$0")/prepare.sh"
(( EUID == 0 )) || fail "a network namespace takes root"
tests/ejabberd/install.sh "$logs/ejabberd.log"
install_packages "$logs/apt.log" curl iproute2
measure reload_chat "$@"
