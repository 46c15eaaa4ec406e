#!/usr/bin/env bash
# What clients' white-space keepalives cost ejabberd, through an ECM and directly. --help says more.
. "$(dirname "$0")/prepare.sh"
tests/ejabberd/install.sh "$logs/ejabberd.log"
ulimit -S -n "$(ulimit -H -n)"
measure keepalives "$@"
