#!/usr/bin/env bash
# Processor time and latency of messages through ECM and hub, beside one hop of HAProxy or nginx. --help says more.
. "$(dirname "$0")/prepare.sh"
measure pingpong "$@"
