#!/usr/bin/env bash
# What attacks do to 200 honest clients who chat: through an ECM and ejabberd's module, through HAProxy, and in ejabberd itself. --help says more.
. "$(dirname "$0")/prepare.sh"
tests/ejabberd/install.sh "$logs/ejabberd.log"
measure attacks "$@"
