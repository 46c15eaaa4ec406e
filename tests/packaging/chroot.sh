# A Debian 12 in a folder of its own, for check.sh and first-hour.sh. Sourced after scripts/common.sh, never run. Ports, mounts and processes
# are in namespaces of their own: alone.

# alone COMMAND…: becomes the command, in such namespaces.
alone() { exec unshare --mount --net --pid --fork --kill-child --mount-proc "$@"; }

# unpack TAR: unpacks Debian into a new folder, and sets `root` to it, and `work` to another one, for what is no part of it. Both go at the end.
unpack() {
  root=$(mktemp -d) work=$(mktemp -d)
  trap 'umount --lazy "$root/proc" "$root/dev" 2>/dev/null || true; rm -rf --one-file-system "$root" "$work"' EXIT
  trap 'exit 130' INT TERM
  ip link set lo up
  tar --extract --file "$1" --directory "$root" --exclude './dev/*'
  chmod 755 "$root"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  : >"$root/service.log" >"$root/service.pid" >"$root/systemctl.log"
}

# inside COMMAND…: runs the command there, as root in its own folder.
inside() { chroot "$root" env -i --chdir=/root HOME=/root PATH=/usr/local/sbin:/usr/sbin:/usr/bin LC_ALL=C.UTF-8 "$@"; }
