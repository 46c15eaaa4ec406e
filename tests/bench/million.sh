#!/usr/bin/env bash
# A million users on ejabberd over one link: memory up and at its peak, logins, messages. --help says more.
. "$(dirname "$0")/prepare.sh"
tests/ejabberd/install.sh "$logs/ejabberd.log"
ulimit -S -n "$(ulimit -H -n)"
measure million "$@"
