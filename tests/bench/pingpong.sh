#!/usr/bin/env bash
# Processor time and latency of messages through ECM and hub, beside one hop of HAProxy or nginx, and
# beside the least that two processes with a link can do. --help says more.
. "$(dirname "$0")/prepare.sh"
install_packages "$logs/apt.log" clang libc6-dev
clang -O2 -Wall -Wextra -Werror -o "$logs/bare_relay" tests/bench/bare_relay.c
export BARE_RELAY="$logs/bare_relay"
measure pingpong "$@"
