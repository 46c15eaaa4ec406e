#!/usr/bin/env bash
# install-without-services.sh LOG SERVICES PACKAGE…: installs Debian packages whose services (SERVICES, in one word:
# "this.service that.socket") start neither now nor at the next boot. For packages that were not there before.
set -euo pipefail
. "$(dirname "$0")/common.sh"

log=$1
read -ra services <<<"$2"
shift 2
names=("${services[@]}" "${services[@]%.*}")

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
  case \$word in $(IFS='|'; say "${names[*]}")) exit 101;; esac
done
[ ! -x $kept ] || exec $kept "\$@"
POLICY
as_root chmod 755 "$policy"

status=0
install_packages "$log" "$@" || status=$?

# From here on nothing of this script's wants the services, whatever became of the installation.
if is_installed "$1"; then
  command -v systemctl >/dev/null && as_root systemctl --quiet disable "${services[@]}" >>"$log" 2>&1 || true
  [[ ! -d /run/systemd/system ]] || as_root systemctl stop "${services[@]}" >>"$log" 2>&1 || true
  for service in "${services[@]}"; do
    [[ ! -e /etc/init.d/${service%.*} ]] || as_root update-rc.d "${service%.*}" disable >>"$log" 2>&1 || true
  done
fi
exit "$status"
