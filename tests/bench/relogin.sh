#!/usr/bin/env bash
# How users come back to a slow ejabberd that has died: with logins at its pace, without, and directly. --help says more.
. "$(dirname "$0")/prepare.sh"
tests/ejabberd/install.sh "$logs/ejabberd.log"
measure relogin "$@"
