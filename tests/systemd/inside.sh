#!/bin/bash
# The checks of tests/systemd/check.sh, in the machine that it boots: systemd is process 1, the packages are /1.deb and /2.deb.
set -euo pipefail
cd "$(dirname "$0")"
. scripts/common.sh
. tests/checks.sh
work=$(mktemp -d) client=
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

# from_docs WORD: the block of docs/operating.md in which a line begins with the word.
from_docs() { awk -v word="$1" '/^    / { block = block substr($0, 5) "\n"; if (index($0, "    " word) == 1) found = 1; next }
  found { exit } { block = "" } END { printf "%s", block }' operating.md; }
of_unit() { systemctl show --property "$1" --value megaphone; }
is() { say "$1"; [[ $1 == "$2" ]]; }
has_one_capability() { [[ $(sed -nE 's/^Cap(Prm|Eff|Bnd|Amb):\t//p' "/proc/$(of_unit MainPID)/status" | uniq) == 0000000000000400 ]]; }
runs_as_its_user() { is "$(stat --format=%U "/proc/$(of_unit MainPID)")" megaphone; }
journal() { journalctl --unit megaphone --output cat --no-pager "$@"; }
is_logged() { journal "${@:2}" | grep -F "$1"; }
metric() { http_get 127.0.0.1 6281 /metrics 2>/dev/null | sed -n "s/^$1 //p"; }
metric_is() { [[ $(metric "$1") == "$2" ]]; }

starts() { systemctl enable --now megaphone || { journal --lines 20; return 1; }; }
connect() { exec {client}<>"/dev/tcp/127.0.0.1/$1"; }
is_echoed() {
  local answer
  say "$1" >&"$client"
  read -r -t 20 answer <&"$client" && [[ $answer == "$1" ]]
}
# goes_on TEXT: whether nothing has been noticed: the process, and everybody who is connected.
goes_on() { is "$(of_unit MainPID)" "$pid" && is_echoed "$1" && metric_is megaphone_ecm_clients 101 && is "$(of_unit ActiveState)" active; }
is_refused() { ! systemctl reload megaphone; }
is_what_runs() { cmp /usr/bin/megaphone "/proc/$pid/exe"; }
credential() { cat /run/credentials/megaphone.service/link-secret; }

configure() {
  cat >/etc/megaphone/megaphone.json <<END
{
  "Ecm": {
    "Clients": [
      { "Listen": "0.0.0.0:443", "Framing": "bytes" },
      { "Listen": "0.0.0.0:5222", "Framing": "bytes" },
      { "Listen": "0.0.0.0:5223", "Framing": "bytes", "Tls": "direct" }
    ],
    "Tls": { "Certificates": [ { "Certificate": "/etc/megaphone/tls/example.org.pem", "Key": "/etc/megaphone/tls/example.org.key" } ] },
    "Link": { "SecretFile": "/run/credentials/megaphone.service/link-secret" }$1
  },
  "Hub": { "SecretFile": "/run/credentials/megaphone.service/link-secret" }
}
END
}

# ---- installed, and made ready as docs/operating.md says ----

check "the package is installed" dpkg --install /1.deb
check "and not started" is "$(of_unit ActiveState)" inactive
configure ""
say "a secret of twenty letters" >/etc/megaphone/link-secret
chmod 600 /etc/megaphone/link-secret
mkdir -p /etc/systemd/system/megaphone.service.d /etc/letsencrypt/renewal-hooks/deploy /etc/letsencrypt/live/example.org
from_docs LoadCredential= >/etc/systemd/system/megaphone.service.d/secret.conf
check "docs/operating.md says how a secret is given" grep -q '^LoadCredential=link-secret:' /etc/systemd/system/megaphone.service.d/secret.conf
from_docs SupplementaryGroups= >/etc/systemd/system/megaphone.service.d/group.conf
check "and a group of readers" grep -q '^SupplementaryGroups=' /etc/systemd/system/megaphone.service.d/group.conf
from_docs groupadd >"$work/once"
check "which is made" bash -e "$work/once"
hook=/etc/letsencrypt/renewal-hooks/deploy/megaphone
from_docs "to=/etc/megaphone/tls" | sed -n '/^#!/,/^END$/{/^END$/d; s/-g megaphone /-g megaphone-tls /; p}' >"$hook"
chmod +x "$hook"
chmod 700 /etc/letsencrypt
renew() {
  install --mode=600 "/$1.pem" /etc/letsencrypt/live/example.org/fullchain.pem
  install --mode=600 "/$1.key" /etc/letsencrypt/live/example.org/privkey.pem
  RENEWED_LINEAGE=/etc/letsencrypt/live/example.org "$hook"
}
check "and certificates are copied for it" renew first
systemctl daemon-reload

# ---- started ----

check "it is enabled, and starts" starts
(( failed == 0 )) || { end_checks; exit; }
check "as its user" runs_as_its_user
check "with one capability" has_one_capability
check "and is ready" http_get 127.0.0.1 6281 /readyz
has_link() { metric_is 'megaphone_links{role="ecm"}' 1; }
check "the link was opened with the secret" wait_until 10 has_link
pid=$(of_unit MainPID)
check "a client connects to port 443" connect 443
check "and is served" is_echoed "is anybody there?"
megaphone bench connect --to 127.0.0.1:5222 --connections 50 --say 1 --hear 1 --hold 300 >"$work/plain.log" 2>&1 &
megaphone bench connect --to 127.0.0.1:5223 --connections 50 --say 1 --hear 1 --hold 300 --tls direct --ca none >"$work/tls.log" 2>&1 &
check "more do, half of them with TLS" wait_until 30 metric_is megaphone_ecm_clients 101

# ---- reloaded ----

check "it is reloaded" systemctl reload megaphone
check "and says so" is_logged "has taken over 101 clients"
check "with everybody connected" goes_on "still there?"
check "a certificate is renewed" renew second
check "and read without a reload" wait_until 30 metric_is 'megaphone_ecm_certificate_reloads_total{result="ok"}' 1
say "another secret of twenty letters" >/etc/megaphone/link-secret
check "it is reloaded behind a change of the secret's file" systemctl reload megaphone
check "which systemd has not copied" is "$(credential)" "a secret of twenty letters"
check "with everybody connected" goes_on "and now?"
configure ', "Wrong": 1'
check "a wrong configuration is refused" is_refused
check "which the journal tells as an error" is_logged "Ecm:Wrong" --priority err
check "with everybody connected" goes_on "not harmed?"
configure ', "MaxClients": 20000'
check "an upgrade is installed" dpkg --install /2.deb
check "whose binary has taken over" is_what_runs
check "with everybody connected" goes_on "and behind it?"
check "nothing was ever restarted" is "$(of_unit NRestarts)" 0

# ---- ended ----

check "it is killed" kill -KILL "$pid"
check "and started again" wait_until 30 has_link
check "by systemd" is "$(of_unit NRestarts)" 1
check "it is restarted" systemctl restart megaphone
check "which copies the secret's file" is "$(credential)" "another secret of twenty letters"
check "it is stopped" systemctl stop megaphone
check "in order" is "$(of_unit Result)" success
configure ', "Wrong": 1'
starts_not() { ! systemctl start megaphone; }
check "with a wrong configuration it does not start" starts_not
check "and is not started again" is "$(of_unit ActiveState) $(of_unit ExecMainStatus)" "failed 2"
end_checks
