#!/usr/bin/env bash
# Shows Megaphone at work on this machine: a real ejabberd with the module ejabberd_megaphone, an ECM whose link ends inside
# it, and two users who chat through both. Stays up until Ctrl-C, then stops everything that it started.
#
#   ./run.sh             the demonstration
#   ./run.sh --via-hub   without the module: the link ends in a hub, which opens a connection to ejabberd for each client
#   ./run.sh --echo      without ejabberd: the hub echoes everything (also if ejabberd cannot be installed)
#   ./run.sh --web       the demonstration, and a page with Converse.js (from npm) with which to join in a browser
#   ./run.sh --once      ends instead of staying up
set -euo pipefail
cd "$(dirname "$0")"
. scripts/common.sh

play=$PWD/playground
idle_clients=1000
converse=tests/clients/browsers/node_modules/converse.js/dist
stay=yes server=module web=no
for option in "$@"; do
  case $option in
    --once) stay=no ;;
    --via-hub) server=hub ;;
    --echo) server=echo ;;
    --web) web=yes ;;
    *) sed -n '2,/^set/{s/^# \{0,1\}//p}' "$0"; exit 2 ;;
  esac
done

[[ $web == no || $server == module ]] || fail "--web is for the module: with a hub this ECM passes bytes, whatever they are, and knows no WebSocket"

# For the idle clients, at every hop.
ulimit -S -n "$(ulimit -H -n)"

# Two demonstrations would share a folder. Only this script holds the lock, not the processes that it starts.
exec {lock}<"$0"
flock --nonblock "$lock" || fail "it is running already, in another terminal"

hub='' ecm='' chat_pid='' pages=''
clean_up() {
  trap '' INT TERM HUP
  [[ -z $pages ]] || end_process "$pages" 5
  [[ -z $chat_pid ]] || end_process "$chat_pid" 5
  [[ -z $ecm ]] || end_process "$ecm" 15
  [[ -z $hub ]] || end_process "$hub" 15
  [[ ! -f $play/ejabberd/settings ]] || tests/ejabberd/ejabberd.sh stop "$play/ejabberd"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# choose_port NAME WANTED: sets NAME to that port or, if it is in use, to the next free one, and prints that.
choose_port() {
  printf -v "$1" %s "$(free_port "$2")"
  (( ${!1} == $2 )) || say "port $2 is in use: using ${!1} instead"
}

# start_megaphone ROLE: starts a process with playground/ROLE.json, sets the variable ROLE to its pid, and waits until it is ready.
start_megaphone() {
  local role=$1 log=$play/$1.log
  # A session of its own: only this script gets Ctrl-C, and stops the parts in order.
  setsid out/megaphone --config "$play/$role.json" >"$log" 2>&1 </dev/null {lock}<&- &
  printf -v "$role" %s "$!"
  if ! wait_until 60 is_ready_or_gone "$log" "${!role}" || ! is_ready "$log"; then
    tail -n 20 "$log" >&2
    fail "the $role did not start"
  fi
}
is_ready() { grep -qs '^megaphone ready' "$1"; }
is_ready_or_gone() { is_ready "$1" || is_gone "$2"; }

# metric PORT NAME [LABEL]: the sum of the samples of that name (that have the label) on an admin endpoint.
metric() {
  http_get 127.0.0.1 "$1" /metrics 2>/dev/null | awk -v name="$2" -v label="${3:-}" '
    { sample = $1; sub(/{.*/, "", sample) }
    sample == name && index($0, label) { sum += $NF }
    END { printf "%d\n", sum }'
}
has_link() { (( $(metric "$admin_port" megaphone_links 'role="ecm"') > 0 )); }
has_clients() { (( $(metric "$admin_port" megaphone_ecm_clients) >= $1 )); }

# memory PID FIELD: kB, from the kernel.
memory() { awk -v field="$2:" '$1 == field { print $2 }' "/proc/$1/status"; }

# ---- the parts ----

if [[ -x out/megaphone && -z $(find src Directory.*.props publish.sh -newer out/megaphone -print -quit) ]]; then
  say "out/megaphone is up to date"
else
  ./publish.sh
fi

# Clean up after a run that was killed.
[[ ! -f $play/ejabberd/settings ]] || tests/ejabberd/ejabberd.sh stop "$play/ejabberd"
rm -rf "$play"
mkdir -p "$play"

if [[ $server != echo ]] && ! { tests/ejabberd/install.sh "$play/apt.log" &&
    install_packages "$play/apt.log" python3-slixmpp; }; then
  say "ejabberd cannot be installed here: using the hub's echo instead"
  server=echo
fi

if [[ $web == yes && $server == echo ]]; then
  say "without ejabberd there is nobody to join in a browser"
  web=no
fi
if [[ $web == yes && ! -e $converse/converse.min.js ]]; then
  command -v npm >/dev/null || install_packages "$play/apt.log" nodejs npm
  step "fetching Converse.js" "$play/npm.log" npm ci --prefix tests/clients/browsers --no-audit --no-fund --ignore-scripts
fi

choose_port client_port 5222
choose_port link_port 6280
choose_port admin_port "$(( link_port + 1 ))"
choose_port hub_admin_port "$(( admin_port + 1 ))"
web_listener=
if [[ $web == yes ]]; then
  choose_port web_port 5280
  choose_port page_port 8080
  web_listener=", { \"Listen\": \"127.0.0.1:$web_port\", \"Framing\": \"web\", \"Web\": { \"Origins\": [ \"http://127.0.0.1:$page_port\" ] } }"
fi

if [[ $server != echo ]]; then
  printf 'starting ejabberd '
  began=$EPOCHREALTIME
  [[ $server == hub ]] || export EJABBERD_MEGAPHONE=1 EJABBERD_LINK_PORT=$link_port
  [[ $web == no ]] || export EJABBERD_MORE='  mod_muc: {}'
  if settings=$(tests/ejabberd/ejabberd.sh start "$play/ejabberd" {lock}<&- 2>"$play/ejabberd.log"); then
    eval "$settings"
    juliet=$(od -An -N6 -tx1 /dev/urandom | tr -d ' ')
    romeo=$(od -An -N6 -tx1 /dev/urandom | tr -d ' ')
    tests/ejabberd/ejabberd.sh register "$play/ejabberd" juliet "$juliet" romeo "$romeo"
    if [[ $server == module ]]; then link_port=$LINK_PORT here=$LINK_PORT; else here=$PROXY_PORT; fi
    say "✓ $(( (${EPOCHREALTIME/./} - ${began/./}) / 1000 )) ms, on 127.0.0.1:$here"
    cat "$play/ejabberd.log"
  else
    say "✗ it does not start; the end of its output:"
    tail -n 20 "$play/ejabberd.log" | sed 's/^/    /'
    say "using the hub's echo instead"
    server=echo web=no web_listener=
  fi
fi

# The link's framing and end, and the PROXY header for each client.
case $server in
  module) framing=stanza proxy=v2 backend='' ;;
  hub) framing=bytes proxy=v2 backend=tcp://127.0.0.1:$PROXY_PORT ;;
  echo) framing=bytes proxy=none backend=echo: ;;
esac
cat >"$play/ecm.json" <<JSON
{
  "Ecm": {
    "Clients": [ { "Listen": "127.0.0.1:$client_port", "Framing": "$framing" }$web_listener ],
    "Link": { "To": "127.0.0.1:$link_port" },
    "Proxy": "$proxy"
  },
  "Admin": { "Listen": "127.0.0.1:$admin_port" }
}
JSON
if [[ -n $backend ]]; then
  cat >"$play/hub.json" <<JSON
{
  "Hub": { "Listen": "127.0.0.1:$link_port", "Backend": "$backend" },
  "Admin": { "Listen": "127.0.0.1:$hub_admin_port" }
}
JSON
  start_megaphone hub
fi
start_megaphone ecm
wait_until 60 has_link || fail "the ECM has no link; see $play/ecm.log"
if [[ -n $backend ]]; then
  say "hub (pid $hub) and ECM (pid $ecm) are up, with one link between them:"
  say
  say "    clients ──► 127.0.0.1:$client_port ECM ══ link ══► 127.0.0.1:$link_port hub ──► $backend"
else
  say "the ECM (pid $ecm) is up, with one link into ejabberd (pid $PID), where the module ejabberd_megaphone accepts it:"
  say
  say "    clients ──► 127.0.0.1:$client_port ECM ══ link ══► 127.0.0.1:$link_port ejabberd"
fi
say

# serve_pages: serves a page with Converse.js, which is to connect to the ECM; returns when it can be read.
serve_pages() {
  mkdir "$play/web"
  ln -s "$PWD/$converse" "$play/web/converse"
  cat >"$play/web/index.html" <<HTML
<!doctype html>
<meta charset="utf-8">
<title>Megaphone</title>
<link rel="stylesheet" href="converse/converse.min.css">
<body>
<script type="module">
  import converse from "./converse/converse.min.js";
  converse.initialize({
    assets_path: "/converse/",
    discover_connection_methods: false,
    view_mode: "fullscreen",
    websocket_url: "ws://127.0.0.1:$web_port/ws",
  });
</script>
HTML
  setsid python3 -m http.server --bind 127.0.0.1 --directory "$play/web" "$page_port" >"$play/pages.log" 2>&1 </dev/null {lock}<&- &
  pages=$!
  wait_until 60 is_listening "$page_port" || fail "the page cannot be served; see $play/pages.log"
}
[[ $web == no ]] || serve_pages

# ---- the conversation ----

if [[ $server != echo ]]; then
  # With stanza framing TLS would have to end at the ECM; with a hub it passes through to ejabberd.
  if [[ $server == hub ]]; then starttls=required with='over STARTTLS, '; else starttls=disabled with=''; fi
  say "Juliet (from 127.0.0.2) and Romeo (from 127.0.0.3) log in through the ECM, ${with}and chat:"
  coproc chat { exec tests/ejabberd/chat.py --port "$client_port" --password "$juliet" "$romeo" --ca "$CERTIFICATE" \
    --starttls "$starttls" --count 1000 --size 1200 --show 3 --hold 2>"$play/chat.log" {lock}<&-; }
  chat_pid=$! # bash forgets the coprocess when it ends
  read -r -t 90 result <&"${chat[0]}" || fail "the chat did not finish; see $play/chat.log"
  sed 's/^/    /' "$play/chat.log"
  [[ $result == '{"ok": true,'* ]] || fail "messages were lost: $result"
  say "    … 1000 messages of 1200 characters each way: all arrived, once, in order"
  say
  say "Who is connected, as ejabberd sees it:"
  tests/ejabberd/ejabberd.sh ctl "$play/ejabberd" connected_users_info |
    awk -F '\t' '{ printf "    %-45s %-8s from %s port %s\n", $1, $2, $3, $4 }'
else
  say "A client sends ten lines through the ECM, and receives their echoes:"
  exec {echo}<>"/dev/tcp/127.0.0.1/$client_port"
  for number in {1..10}; do
    say "hello $number" >&"$echo"
    read -r -t 10 answer <&"$echo" || fail "no echo was received"
    [[ $answer == "hello $number" ]] || fail "the echo differs: $answer"
  done
  exec {echo}>&-
  say "    10 of 10 were echoed, in order"
fi
say
say "Packets that crossed the link: $(metric "$admin_port" megaphone_link_packets_total 'direction="out"') from the ECM," \
  "$(metric "$admin_port" megaphone_link_packets_total 'direction="in"') back"

# ---- the memory ----

clients=$(metric "$admin_port" megaphone_ecm_clients)
idle=()
# connect_idle COUNT: connects this many silent clients; returns when the ECM has them.
connect_idle() {
  local number connection
  for (( number = 0; number < $1; number++ )); do
    exec {connection}<>"/dev/tcp/127.0.0.1/$client_port"
    idle+=("$connection")
  done
  wait_until 60 has_clients "$(( clients + ${#idle[@]} ))" || fail "the ECM did not accept $1 more clients"
}
# The first clients cause one-time allocations; the chat has filled the link's ring before. Memory is allocated in
# pages, so the cost of one client shows only with many. Descriptors: one for a client here and one in the ECM, and
# some for everything else.
warm_up=$idle_clients measured=$(( 9 * idle_clients ))
limit=$(ulimit -n)
if [[ $limit != unlimited ]] && (( warm_up + measured + 200 > limit )); then
  warm_up=$(( (limit - 200) / 10 )) measured=$(( (limit - 200) * 9 / 10 ))
  (( warm_up > 0 )) || fail "$limit descriptors (ulimit -n) are too few for idle clients"
  say "(ulimit -n is $limit: $(( warm_up + measured )) idle clients instead of $(( 10 * idle_clients )), which measures less exactly)"
fi
connect_idle "$warm_up"
before=$(memory "$ecm" RssAnon)
connect_idle "$measured"
after=$(memory "$ecm" RssAnon)
say "Memory of the ECM with $(( clients + ${#idle[@]} )) clients: $(memory "$ecm" VmRSS) kB resident in all;" \
  "the last $measured, who have said nothing yet, took $(( after - before )) kB," \
  "$(( (after - before) * 1024 / measured )) bytes each (the kernel's sockets not counted)"
for connection in "${idle[@]}"; do exec {connection}>&-; done

if [[ $server != echo ]]; then
  exec {chat[1]}>&-
  wait "$chat_pid" || true
  chat_pid=''
  say
  say "Connect with a client of your own: server 127.0.0.1, port $client_port"
  say "    juliet@localhost, password $juliet"
  say "    romeo@localhost, password $romeo"
  if [[ $server == hub ]]; then
    say "    STARTTLS uses a certificate made for this run, which your client will ask about:"
    say "    $CERTIFICATE"
  else
    say "    without TLS, which you may have to enable in your client"
  fi
  [[ $web == no ]] || say "    or in a browser: http://127.0.0.1:$page_port"
else
  say
  say "Connect with a client of your own: nc 127.0.0.1 $client_port"
fi
say "    counters: http://127.0.0.1:$admin_port/metrics (ECM)${hub:+, http://127.0.0.1:$hub_admin_port/metrics (hub)}"

[[ $stay == yes ]] || exit 0
say
say "Up until Ctrl-C."
trap 'say; say "stopping"; exit 0' INT TERM HUP
while is_alive "$ecm" && { [[ -z $hub ]] || is_alive "$hub"; }; do sleep 0.5; done
fail "the ECM or the hub has ended; see $play/ecm.log and $play/hub.log"
