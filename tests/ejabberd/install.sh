#!/usr/bin/env bash
# install.sh LOG: installs Debian's ejabberd if it is missing, without its service: not now, not at the next boot.
# An ejabberd that was there before is left as it is, service included.
set -euo pipefail
. "$(dirname "$0")/../../scripts/common.sh"

log=$1
is_installed ejabberd && exit 0

# Erlang's port mapper is a service too, and comes along.
services=(ejabberd.service)
is_installed erlang-base || services+=(epmd.service epmd.socket)

# Debian's maintainer scripts ask policy-rc.d before they start a service (101: do not). Ours speaks of these services
# only and passes every other question on to the one that was there.
policy=/usr/sbin/policy-rc.d
kept=$policy.before-megaphone

put_policy_back() {
  as_root rm -f "$policy"
  [[ ! -e $kept && ! -L $kept ]] || as_root mv "$kept" "$policy"
}

as_root true
# A run that was killed may have left its own behind.
[[ ! -e $kept && ! -L $kept ]] || put_policy_back
[[ ! -e $policy && ! -L $policy ]] || as_root mv "$policy" "$kept"
trap put_policy_back EXIT
trap 'exit 130' INT TERM
as_root tee "$policy" >/dev/null <<POLICY
#!/bin/sh
for word; do
  case \$word in ejabberd|ejabberd.service|epmd|epmd.service|epmd.socket) exit 101;; esac
done
[ ! -x $kept ] || exec $kept "\$@"
POLICY
as_root chmod 755 "$policy"

status=0
install_packages "$log" ejabberd || status=$?

# From here on nothing of this script's wants the services, whatever became of the installation.
if is_installed ejabberd; then
  command -v systemctl >/dev/null && as_root systemctl --quiet disable "${services[@]}" >>"$log" 2>&1 || true
  [[ ! -d /run/systemd/system ]] || as_root systemctl stop "${services[@]}" >>"$log" 2>&1 || true
  as_root update-rc.d ejabberd disable >>"$log" 2>&1 || true
fi
exit "$status"
