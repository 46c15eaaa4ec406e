#!/usr/bin/env bash
# Bytes of user-space memory that each idle client costs the ECM, beside HAProxy, nginx and ejabberd. --help says more.
. "$(dirname "$0")/prepare.sh"
tests/ejabberd/install.sh "$logs/ejabberd.log"
ulimit -S -n "$(ulimit -H -n)"
measure idle_memory "$@"
