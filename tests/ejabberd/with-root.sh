#!/usr/bin/env bash
# with-root.sh ROOT COMMAND…: runs a command next to the ejabberd of another distribution, which is installed in the folder ROOT:
# ejabberd.sh takes that one instead of this machine's. Root only.
#
# The command has a loopback interface and process ids of its own, so that no port or process of this machine is in its way.
# When it ends, all that it has started ends as well, and nothing stays mounted: the kernel takes that away with the namespaces.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../scripts/common.sh"

EJABBERD_ROOT=$(realpath "${1:?the folder in which the other distribution is installed}")
export EJABBERD_ROOT TMPDIR=/tmp
shift
(( EUID == 0 )) || fail "only root may mount and use chroot"

# The first process there has to stay: it is the parent of whatever loses its own. It does not die of a signal unless it says so.
inside='
  set -euo pipefail
  trap "exit 143" INT TERM
  project=$1
  shift
  for folder in /dev /proc /tmp "$project"; do
    mkdir -p "$EJABBERD_ROOT$folder"
    mount --rbind "$folder" "$EJABBERD_ROOT$folder"
  done
  ip link set lo up
  status=0
  "$@" || status=$?
  exit "$status"'
exec unshare --mount --net --pid --fork --kill-child --mount-proc bash -c "$inside" bash "$(realpath "$here/../..")" "$@"
