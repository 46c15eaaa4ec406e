#!/usr/bin/env bash
# Headers parsed and written per second on one core. --help says more.
. "$(dirname "$0")/prepare.sh"
measure headers "$@"
