#!/usr/bin/env bash
# install-without-services.sh LOG SERVICES PACKAGE…: installs Debian packages whose services (SERVICES, as one argument:
# "this.service that.socket") start neither now nor at the next boot. For packages that were not installed before.
set -euo pipefail
. "$(dirname "$0")/common.sh"

log=$1
read -ra services <<<"$2"
shift 2
names=("${services[@]}" "${services[@]%.*}")

# Debian's maintainer scripts ask policy-rc.d before they start a service (101: do not). Ours answers for these services
# only and passes every other question on to the existing one.
policy=/usr/sbin/policy-rc.d
saved=$policy.before-megaphone

restore_policy() {
  as_root rm -f "$policy"
  [[ ! -e $saved && ! -L $saved ]] || as_root mv "$saved" "$policy"
}

as_root true
# A run that was killed may have left its policy behind.
[[ ! -e $saved && ! -L $saved ]] || restore_policy
[[ ! -e $policy && ! -L $policy ]] || as_root mv "$policy" "$saved"
trap restore_policy EXIT
trap 'exit 130' INT TERM
as_root tee "$policy" >/dev/null <<POLICY
#!/bin/sh
for word; do
  case \$word in $(IFS='|'; say "${names[*]}")) exit 101;; esac
done
[ ! -x $saved ] || exec $saved "\$@"
POLICY
as_root chmod 755 "$policy"

status=0
install_packages "$log" "$@" || status=$?

# Disable and stop the services, whether the installation succeeded or not.
if is_installed "$1"; then
  command -v systemctl >/dev/null && as_root systemctl --quiet disable "${services[@]}" >>"$log" 2>&1 || true
  [[ ! -d /run/systemd/system ]] || as_root systemctl stop "${services[@]}" >>"$log" 2>&1 || true
  for service in "${services[@]}"; do
    [[ ! -e /etc/init.d/${service%.*} ]] || as_root update-rc.d "${service%.*}" disable >>"$log" 2>&1 || true
  done
fi
exit "$status"
