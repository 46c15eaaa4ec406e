#!/usr/bin/env bash
# What a network costs that loses everything for a while. --help says more. Needs root, for a network namespace.
. "$(dirname "$0")/prepare.sh"
(( EUID == 0 )) || fail "a network namespace takes root"
measure cuts "$@"
