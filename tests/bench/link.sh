#!/usr/bin/env bash
# Packets per second over one link through the hub's echo, beside an echo that only copies. --help says more.
. "$(dirname "$0")/prepare.sh"
measure link "$@"
