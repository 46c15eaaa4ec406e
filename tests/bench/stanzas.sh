#!/usr/bin/env bash
# Bytes of stanzas cut out of streams per second on one core. --help says more.
. "$(dirname "$0")/prepare.sh"
measure stanzas "$@"
