#!/usr/bin/env bash
# TLS at the ECM beside HAProxy: memory, handshakes, messages. --help says more.
. "$(dirname "$0")/prepare.sh"
measure tls "$@"
