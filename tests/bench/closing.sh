#!/usr/bin/env bash
# The peak of ejabberd's memory while the sleeping sessions of a lost link are closed. --help says more.
. "$(dirname "$0")/prepare.sh"
tests/ejabberd/install.sh "$logs/ejabberd.log"
measure closing "$@"
