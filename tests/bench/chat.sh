#!/usr/bin/env bash
# The whole way of a chat message: processor time and latency through ECM and module, through HAProxy, and directly. --help says more.
. "$(dirname "$0")/prepare.sh"
tests/ejabberd/install.sh "$logs/ejabberd.log"
measure chat "$@"
