#!/usr/bin/env bash
# Bytes of user-space memory that each idle client costs the ECM, beside HAProxy. --help says more.
. "$(dirname "$0")/prepare.sh"
measure idle_memory "$@"
