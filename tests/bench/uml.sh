#!/usr/bin/env bash
# Runs a command in user-mode Linux: a Linux of its own, as a process of this machine, which allows as many descriptors as a benchmark
# wants. Its files are this machine's, read-only but for this project's folder; its memory, its /tmp and its loopback network are its own.
#
#   uml.sh [--memory GIB] [--time SECONDS] COMMAND…
#
#     tests/bench/uml.sh tests/bench/full.sh --users 1000000
#
#     --memory   of the machine; default: what is available here, less 2 GiB. It is taken as it is used.
#     --time     the machine is switched off after that; default 86400
#
# Needs root, as its root may do to the project's files what root may. Exit status: the command's; 124 when its time was over; 125 when
# the machine could not be made or died.
#
# Memory and correctness count in it, speed does not: it has one core, and each system call costs some 20 µs. The kernel: scripts/uml.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/common.sh
. scripts/uml.sh

memory= time=86400
while [[ ${1:-} == --* ]]; do
  case $1 in
    --memory) memory=$2 ;;
    --time) time=$2 ;;
    --help) sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) fail "there is no option $1; see --help" ;;
  esac
  shift 2
done
(( $# > 0 )) || fail "no command to run; see --help"
(( EUID == 0 )) || fail "the machine is started by root only; see --help"
available=$(awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo)
memory=${memory:-$(( available - 2 ))}
(( memory > 0 && memory <= available )) || { say "uml.sh: $available GiB are available here, too few for $memory" >&2; exit 125; }

need_uml

root=$PWD
run=$(mktemp -d "$uml.run.XXXXXX")
maps=$(cat /proc/sys/vm/max_map_count)
clean_up() {
  [[ -z ${machine:-} ]] || end_process "$machine" 5
  # Another machine that still runs needs as many.
  grep -qsx linux /proc/[0-9]*/comm || say "$maps" >/proc/sys/vm/max_map_count
  rm -rf "$run"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# The machine's first process. The descriptors' limit is what is wanted of all this; the kernel's other limits just must not be in the way.
printf -v command '%q ' "$@"
cat >"$run/init" <<INIT
#!/bin/bash
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb MEGAPHONE=${MEGAPHONE:-out/megaphone}
mount -t proc proc /proc
mount -t sysfs sys /sys
stty -F /dev/console -onlcr
for folder in /tmp /run /var/tmp; do mount -t tmpfs -o mode=1777 tmpfs "\$folder"; done
mkdir -p /dev/pts /dev/shm "$root"
ln -s /proc/self/fd /dev/fd
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t hostfs -o "$root" none "$root"
ip link set lo up
set_limit() { echo "\$2" >"/proc/sys/\$1"; }
set_limit fs/nr_open 4194304
set_limit fs/file-max 10000000
set_limit fs/epoll/max_user_watches 100000000
set_limit net/core/somaxconn 65535
# Packets over loopback, keep-alive probes among them, wait there while the machine stands still for a moment; beyond the limit they are lost.
set_limit net/core/netdev_max_backlog 4194304
set_limit net/ipv4/tcp_max_syn_backlog 65535
set_limit net/ipv4/tcp_max_orphans 4194304
set_limit vm/overcommit_memory 1
set_limit vm/max_map_count 4194304
set_limit kernel/pid_max 4194304
ulimit -n 4194304
cd "$root"
(set -o pipefail; { setsid --wait $command; } </dev/null 2>&1 | cat)
echo \$? >"$run/status"
sync
echo o >/proc/sysrq-trigger
sleep 60
INIT
chmod +x "$run/init"

# Each page of each of its processes may be a mapping of a process here.
say 4194304 >/proc/sys/vm/max_map_count
execute_uml "$run" "$time" mem="${memory}G" root=/dev/root rootfstype=hostfs rootflags=/ ro init="$run/init" thash_entries=2097152 2>"$run/errors" &
machine=$!
status=0
wait "$machine" || status=$?
machine=
(( status != 124 && status != 137 )) || { say "uml.sh: the machine was switched off after $time s" >&2; exit 124; }
[[ -s $run/status ]] || { cat "$run/errors" >&2; say "uml.sh: the machine has died" >&2; exit 125; }
exit "$(cat "$run/status")"
