#!/usr/bin/env bash
# TLS at the ECM beside HAProxy and ejabberd: memory, handshakes, messages. --help says more.
. "$(dirname "$0")/prepare.sh"
tests/ejabberd/install.sh "$logs/ejabberd.log"
measure tls "$@"
