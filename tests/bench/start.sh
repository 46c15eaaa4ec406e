#!/usr/bin/env bash
# Size of the binary, time until it is ready, and memory when idle, beside HAProxy. --help says more.
. "$(dirname "$0")/prepare.sh"
measure start "$@"
