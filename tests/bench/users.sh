#!/usr/bin/env bash
# Memory that each idle logged-in user costs ejabberd, the ECM and the hub, beside ejabberd alone. --help says more.
. "$(dirname "$0")/prepare.sh"
tests/ejabberd/install.sh "$logs/ejabberd.log"
measure users "$@"
