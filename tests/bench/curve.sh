#!/usr/bin/env bash
# What each user costs ejabberd and the ECM as they become more. --help says more.
. "$(dirname "$0")/prepare.sh"
tests/ejabberd/install.sh "$logs/ejabberd.log"
ulimit -S -n "$(ulimit -H -n)"
measure curve "$@"
