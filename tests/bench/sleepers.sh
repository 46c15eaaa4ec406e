#!/usr/bin/env bash
# What a message to a sleeping session costs ejabberd, beside one to a user who is connected directly. --help says more.
. "$(dirname "$0")/prepare.sh"
tests/ejabberd/install.sh "$logs/ejabberd.log"
ulimit -S -n "$(ulimit -H -n)"
measure sleepers "$@"
