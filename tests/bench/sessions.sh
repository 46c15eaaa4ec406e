#!/usr/bin/env bash
# Memory that each idle logged-in user costs ejabberd when sessions come over a link, beside direct connections. --help says more.
. "$(dirname "$0")/prepare.sh"
tests/ejabberd/install.sh "$logs/ejabberd.log"
ulimit -S -n "$(ulimit -H -n)"
measure sessions "$@"
