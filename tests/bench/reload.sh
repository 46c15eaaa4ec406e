#!/usr/bin/env bash
# What clients notice of a reload, and what ten of them leave behind, beside HAProxy. --help says more.
. "$(dirname "$0")/prepare.sh"
measure reload "$@"
