#!/usr/bin/env bash
# What users notice when one of three ejabberd nodes is killed, and how they are spread. --help says more.
. "$(dirname "$0")/prepare.sh"
tests/ejabberd/install.sh "$logs/ejabberd.log"
measure failover "$@"
