#!/usr/bin/env bash
# One ECM process holds very many client connections over one link to a hub with the backend echo:. All of them open a session and
# stay; 20,000 messages of random clients must come back while all are there; then all leave, and memory and sessions must be back
# to where they were. It measures memory, so it may run in a virtual machine that was made for it, however slow: it needs nothing but
# the binary, scripts/common.sh, bash, coreutils, sed and awk.
#
#   million-connections.sh [OPTION…]
#     --connections N    default 1000000
#     --messages N       default 20000
#     --processes N      of the load generator; default: as many as its descriptors demand
#     --results FILE     the line of the record is added there; default tests/bench/results.jsonl
#     --commit NAME      what is measured, where there is no git
#     --note TEXT        kept with the figures
#     --quick            nothing is recorded
# MEGAPHONE names the binary; default out/megaphone.
#
# One process needs N descriptors, so `ulimit -Hn` must be above N; where it is not, the script says what to do. Ports do not run
# out: clients come from many loopback addresses.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/common.sh

megaphone=${MEGAPHONE:-out/megaphone}
connections=1000000 messages=20000 processes= results=tests/bench/results.jsonl commit= note= quick=
command=tests/bench/million-connections.sh
while (( $# > 0 )); do
  case $1 in
    --connections) connections=$2; command+=" $1 $2" ;;
    --messages) messages=$2; command+=" $1 $2" ;;
    --processes) processes=$2 ;;
    --results) results=$2 ;;
    --commit) commit=$2 ;;
    --note) note=$2 ;;
    --quick) quick=1; shift; continue ;;
    --help) sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) fail "there is no option $1; see --help" ;;
  esac
  shift 2
done
[[ -x $megaphone ]] || fail "there is no $megaphone; ./publish.sh makes it, or let MEGAPHONE name another"

# What the machine must provide, and how it is made to.
descriptors=$(( connections + 1000 ))
kib_each=13  # two sockets, 6 KiB each, and what the processes keep for them
lacking=0
lacks() { say "lacking: $1" >&2; say "         $2" >&2; lacking=1; }
limit=$(ulimit -H -n)
most=$(cat /proc/sys/fs/nr_open)
(( most >= descriptors )) || lacks "fs.nr_open is $most, and $descriptors are needed" "sysctl -w fs.nr_open=$descriptors"
[[ $limit == unlimited ]] || (( limit >= descriptors )) ||
  lacks "a process may have $limit descriptors, and $descriptors are needed" \
    "ulimit -n $descriptors, as root in the shell that starts this; or LimitNOFILE, or /etc/security/limits.conf"
all=$(cat /proc/sys/fs/file-max)
(( EUID == 0 || all >= 2 * descriptors )) ||
  lacks "fs.file-max is $all, and $(( 2 * descriptors )) are needed, both ends being on this machine" \
    "sysctl -w fs.file-max=$(( 2 * descriptors + 100000 ))"
memory=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
needed=$(( connections * kib_each / 1024 + 300 ))
(( memory >= needed )) || lacks "$memory MiB of memory are available, and about $needed are needed" "fewer --connections, or more memory"
(( lacking == 0 )) || exit 2
ulimit -S -n "$(ulimit -H -n)"

work=$(mktemp -d)
pids=()
clean_up() {
  local pid
  for pid in "${pids[@]}"; do end_process "$pid" 20; done
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# Addresses of their own, as the other benchmarks have them.
clients=127.88.0.1:5222 link=127.88.0.2:6280
quiet=(--Admin:Listen 127.88.0.6:0 --Logging:LogLevel:Default Warning)

# start NAME ARGUMENT…: a process of the binary, once it is ready; its admin endpoint is in admin_NAME, its pid in pid_NAME.
start() {
  local name=$1 out=$work/$1.out
  shift
  "$megaphone" "$@" "${quiet[@]}" >"$out" 2>&1 </dev/null &
  pids+=($!)
  printf -v "pid_$name" %s $!
  wait_until 60 grep -qs '^megaphone ready' "$out" || { cat "$out" >&2; fail "the $name did not get ready"; }
  printf -v "admin_$name" %s "$(sed -n 's/^megaphone ready.* admin=127.88.0.6:\([0-9]*\).*/\1/p' "$out")"
}

# metrics NAME PORT: reads the metrics of a process, for metric.
metrics() { http_get 127.88.0.6 "$2" /metrics >"$work/$1.metrics"; }
# metric NAME METRIC: the sum over its labels; -1 when there is none of that name.
metric() {
  awk -v name="$2" '$1 == name || index($1, name "{") == 1 { sum += $2; found = 1 } END { printf "%.9g\n", found ? sum : -1 }' "$work/$1.metrics"
}

# resident PID KEY: a line of its status, in KiB.
resident() { awk -v key="$2:" '$1 == key { print $2 }' "/proc/$1/status"; }

is_linked() { metrics ecm "$admin_ecm" && (( $(metric ecm megaphone_links) == 1 )); }
are_gone() {
  metrics ecm "$admin_ecm" && metrics hub "$admin_hub" &&
  (( $(metric ecm megaphone_ecm_clients) == 0 && $(metric hub megaphone_hub_sessions) == 0 ))
}

# play CONNECTIONS MESSAGES JSON: the load generator.
play() {
  "$megaphone" bench xmpp --to "$clients" --sessions "$1" --login none ${processes:+--processes "$processes"} \
    --pending 200 --patience 300 --messages "$2" --message-rate 500 --hold 20 --end cut --json "$3"
}

# figure KEY: of what the load generator has written.
figure() { sed -n "s/^  \"$1\": \([0-9.-]*\),\{0,1\}\$/\1/p" "$work/run.json"; }

start hub --Hub:Listen "$link" --Hub:Backend echo: --Hub:MaxSessions "$descriptors"
start ecm --Ecm:Clients:0:Listen "$clients" --Ecm:Link:To "$link" --Ecm:MaxClients "$descriptors"
wait_until 60 is_linked || fail "the link did not come up"

# Rings, buffers and the metrics endpoint take the same for any number of clients; a few clients have them allocated.
play 1000 5000 "$work/first.json" >/dev/null 2>"$work/first.log" || { cat "$work/first.log" >&2; fail "the first clients failed"; }
wait_until 60 are_gone || fail "the first clients did not leave"
before=$(resident "$pid_ecm" VmRSS) own_before=$(resident "$pid_ecm" RssAnon)

# Samples: seconds, clients, KiB resident, KiB of its own, seconds of GC pauses and collections so far. While a million connections
# end, a machine may have no time to let another one in, or to answer.
sample() {
  metrics ecm "$admin_ecm" || return 0
  # One process for all of it: the machine may be slow.
  awk -v seconds="$SECONDS" '{ value[$1] = $2 }
    END { if ("megaphone_ecm_clients" in value) print seconds, value["megaphone_ecm_clients"], value["VmRSS:"], value["RssAnon:"],
      value["megaphone_gc_pause_seconds_total"], value["megaphone_gc_collections_total"] }
    ' "$work/ecm.metrics" "/proc/$pid_ecm/status" >>"$work/samples"
}

# Seldom enough that the samples themselves take no memory worth mentioning: what answers leave behind stays until it is collected.
every=10
status=0
play "$connections" "$messages" "$work/run.json" >"$work/run.log" 2>&1 &
bench=$!
pids+=("$bench")
shown=$SECONDS
while is_alive "$bench"; do
  sample
  (( SECONDS - shown < 10 )) || { tail -n 1 "$work/run.log"; shown=$SECONDS; }
  sleep "$every"
done
wait "$bench" || status=$?
[[ -s $work/run.json ]] || { cat "$work/run.log" >&2; fail "the load generator left no figures; nothing is recorded"; }
(( status == 0 )) || { cat "$work/run.log" >&2; say "the load generator reported problems (exit status $status)" >&2; }
# Sessions end at the speed of the machine, which may be an emulated one. It is not sampled more often than before.
ended=$SECONDS
until are_gone; do
  (( SECONDS - ended < 900 )) || { say "not all clients and sessions have gone" >&2; break; }
  sleep "$every"
done
sample
sessions_left=$(( $(metric ecm megaphone_ecm_clients) + $(metric hub megaphone_hub_sessions) ))
after=$(resident "$pid_ecm" VmRSS) own_after=$(resident "$pid_ecm" RssAnon)
peak=$(resident "$pid_ecm" VmHWM)

# With all clients connected: the last sample with so many.
read -r _ held at own _ <<<"$(awk '$2 >= most { most = $2; line = $0 } END { print line }' "$work/samples")"
pause_ms() {
  awk -v which="$1" 'NR > 1 { grown = ($5 - last) * 1000; sum += grown; if (grown > most) most = grown } { last = $5 }
    END { printf "%.3f", (which == "most" ? most : sum) }' "$work/samples"
}
collections() { awk 'NR == 1 { first = $6 } END { print $6 - first }' "$work/samples"; }
mib() { awk -v kib="$1" 'BEGIN { printf "%.1f", kib / 1024 }'; }
each() { awk -v kib="$1" -v n="$2" 'BEGIN { printf "%.1f", (n > 0 ? kib * 1024 / n : 0) }'; }

figures='' rows='' kept_all=1
# add NAME VALUE: a figure of the record. budget NAME VALUE ≤|≥ LIMIT: something that was promised.
add() {
  printf '%-56s %14s\n' "$1" "$2"
  figures+=${figures:+, }"\"$1\": [$2]"
}
budget() {
  local kept=true at_most=true
  [[ $3 == ≤ ]] || at_most=false
  awk -v a="$2" -v b="$4" -v most=$at_most 'BEGIN { exit !(most == "true" ? a <= b : a >= b) }' || kept=false kept_all=0
  printf '%-56s %14s   %s %s %s\n' "$1" "$2" "$3" "$4" "$([[ $kept == true ]] && say kept || say MISSED)"
  rows+=${rows:+, }"{\"what\": \"$1\", \"value\": $2, \"limit\": $4, \"at_most\": $at_most, \"kept\": $kept}"
}

say
add "connections that were there at the same time" "$held"
add "ECM before, MiB resident" "$(mib "$before")"
add "ECM with all of them, MiB resident" "$(mib "$at")"
add "ECM at its peak, closing included, MiB resident" "$(mib "$peak")"
add "ECM after the end, MiB resident" "$(mib "$after")"
add "bytes of the ECM's own for each" "$(each $(( own - own_before )) "$held")"
# On the way up, for the curve.
for count in 1000 10000 100000; do
  read -r seen then_own <<<"$(awk -v n="$count" '$2 >= n { print $2, $4; exit }' "$work/samples")"
  (( ${seen:-held} >= held )) || add "ECM, $seen clients: bytes each" "$(each $(( then_own - own_before )) "$seen")"
done
add "ECM, $held clients: bytes each" "$(each $(( own - own_before )) "$held")"
add "GC pauses of the ECM, ms, all together" "$(pause_ms sum)"
add "garbage collections of the ECM" "$(collections)"
add "the most of the pauses between two looks, $every seconds apart, ms" "$(pause_ms most)"
add "messages that came back" "$(figure messages_arrived)"
say
budget "connections of one ECM process at the same time" "$held" ≥ "$connections"
budget "MiB resident of the ECM with all of them" "$(mib "$at")" ≤ 100
budget "ms of the longest GC pause, at most" "$(pause_ms most)" ≤ 20
budget "of $messages messages of random clients, came back" "$(figure messages_arrived)" ≥ "$messages"
budget "clients and sessions left at the end" "$sessions_left" ≤ 0
# The link's ring, which so many who leave at once may fill for the first time, is 2.5 MiB of that; garbage that nobody has
# had a reason to collect is the rest.
budget "MiB of the ECM's own more than before, at the end" "$(mib $(( own_after - own_before )))" ≤ 10

if [[ -z $quick ]]; then
  quoted() { sed 's/[\\"]/\\&/g' <<<"$1"; }
  [[ -n $commit ]] || commit=$(git rev-parse --short HEAD 2>/dev/null) || commit=unknown
  cpu=$(sed -n 's/^model name[^:]*: //p;T;q' /proc/cpuinfo)
  machine="$(nproc) cores of ${cpu:-an unnamed processor}, $(awk '/^MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo) GiB,"
  machine+=" Linux $(uname -r | cut -d- -f1)"
  printf '{"benchmark": "million-connections", "date": "%s", "command": "%s", "note": %s, "commit": "%s", "machine": "%s", ' \
    "$(date -u +%Y-%m-%dT%H:%M:%S+00:00)" "$command" "$([[ -n $note ]] && say "\"$(quoted "$note")\"" || say null)" \
    "$commit" "$(quoted "$machine")" >>"$results"
  printf '"busy_before": [], "figures": {%s}, "budgets": [%s]}\n' "$figures" "$rows" >>"$results"
fi
(( status == 0 && kept_all == 1 ))
