#!/usr/bin/env bash
# A million users, all in, in one run: memory of everything, messages, and nobody lost. --help says more.
# The machine must allow as many descriptors; tests/bench/uml.sh makes one that does.
. "$(dirname "$0")/prepare.sh"
tests/ejabberd/install.sh "$logs/ejabberd.log"
ulimit -S -n "$(ulimit -H -n)"
measure full "$@"
