#!/usr/bin/env bash
# Processor time for each accepted connection, beside HAProxy and nginx. --help says more.
. "$(dirname "$0")/prepare.sh"
measure accept "$@"
