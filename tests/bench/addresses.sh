#!/usr/bin/env bash
# The table that counts connections by address, with a million of them. --help says more.
. "$(dirname "$0")/prepare.sh"
measure addresses "$@"
