#!/usr/bin/env bash
# Users over WebSocket, at the ECM, at ejabberd's own listener, and behind nginx: memory and processor time. --help says more.
. "$(dirname "$0")/prepare.sh"
tests/ejabberd/install.sh "$logs/ejabberd.log"
ulimit -S -n "$(ulimit -H -n)"
measure web "$@"
