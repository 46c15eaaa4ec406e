#!/usr/bin/env bash
# All the memory that an idle user takes, of ECM, kernel and ejabberd, beside users who connect to ejabberd. --help says more.
. "$(dirname "$0")/prepare.sh"
tests/ejabberd/install.sh "$logs/ejabberd.log"
ulimit -S -n "$(ulimit -H -n)"
measure all_in "$@"
