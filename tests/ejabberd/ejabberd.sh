#!/usr/bin/env bash
# Debian's ejabberd, unmodified, in a folder of its own: configuration, certificate, accounts, logs, cookie and ports.
#
#   ejabberd.sh start DIR            starts it, and prints the settings, one NAME=VALUE per line:
#                                    PROXY_PORT   clients, each with a PROXY header first (what the hub connects to)
#                                    DIRECT_PORT  clients, without
#                                    DIST_PORT    Erlang distribution, for ctl
#                                    CERTIFICATE  its STARTTLS certificate, for the name localhost
#                                    PID          of the Erlang VM
#                                    LINK_PORT    links, into the module ejabberd_megaphone; only with
#                                                 EJABBERD_MEGAPHONE=1 when the folder was made
#                                    TLS_PORT     clients, with TLS from the first byte on; only with EJABBERD_TLS=1
#                                    WEB_PORT     clients over WebSocket, at /ws; only with EJABBERD_WEB=ws, or with TLS
#                                                 EJABBERD_WEB=wss
#                                    A folder that was used before keeps its accounts and ports. Ports for a new one
#                                    may be given as EJABBERD_PROXY_PORT and EJABBERD_DIRECT_PORT, and lines to add to
#                                    its configuration as EJABBERD_MORE; EJABBERD_MODULES=none loads none of ejabberd's own
#                                    modules, EJABBERD_MODULES=debian those of Debian's configuration; the link port as
#                                    EJABBERD_LINK_PORT and lines for its listener as EJABBERD_LINK_MORE
#                                    ("hibernate_after: 1"). Each start builds the module again, unless
#                                    EJABBERD_MODULE is a folder in which it was built.
#                                    EJABBERD_NODE=127.0.0.1 makes it a node that others may join: it is called
#                                    megaphone@127.0.0.1 then. EJABBERD_NODE=127.0.0.2 EJABBERD_JOIN=DIR has a new one join
#                                    the cluster of the node in that folder, which must run. Each has an address of its own.
#   ejabberd.sh register DIR NAME PASSWORD…   makes an account on localhost for each pair; existing ones
#                                    stay. They are on disk then: a killed ejabberd has them when it is restarted.
#   ejabberd.sh ctl DIR COMMAND…     runs an ejabberdctl command: connected_users_info, kick_session, …
#   ejabberd.sh memory DIR           collects all garbage, and prints the bytes in use after that, as Erlang counts
#   ejabberd.sh eval DIR             evaluates its input in ejabberd, line by line of Erlang ("ets:all()."),
#                                    and prints the value of the last expression of each, on one line
#   ejabberd.sh settings DIR         prints the settings again
#   ejabberd.sh status DIR           exit status 0 when it runs
#   ejabberd.sh stop DIR             stops it and all of its processes
#   ejabberd.sh kill DIR             the same at once, where nothing of it is needed any more: to stop takes seconds
#
# EJABBERD_ROOT=FOLDER uses the ejabberd of another distribution, which is installed in that folder (see matrix.sh): the script continues
# in it (chroot), where the project, DIR, /proc and /dev must be mounted at the same paths as outside.
#
# Started by root it runs as the user ejabberd, if that user can access the folder. ejabberdctl itself is not used: it
# refuses to run as any other user, and it starts a port mapper that stays. Its settings are used.
set -euo pipefail
if [[ -n ${EJABBERD_ROOT:-} ]]; then
  script=$(realpath "$0") root=$EJABBERD_ROOT
  unset EJABBERD_ROOT
  exec chroot "$root" "$script" "$@"
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../scripts/common.sh"

NODE=megaphone@localhost
ports=${TMPDIR:-/tmp}/megaphone-ports
LINK_PORT=
TLS_PORT=
WEB_PORT=
command=${1:?what to do}
dir=$(realpath --canonicalize-missing "${2:?the folder to do it in}")
shift 2

# as_owner COMMAND…: executes the command as the user that owns the folder and in a session of its own: Ctrl-C at the
# terminal goes only to the calling script, which then stops ejabberd.
as_owner() {
  local become=()
  [[ $EUID != 0 || $(stat --format=%U "$dir") != ejabberd ]] ||
    become=(setpriv --reuid=ejabberd --regid=ejabberd --init-groups)
  exec setsid "${become[@]}" "$@"
}

# erlang NAME ARGUMENT…: executes an Erlang VM whose distribution stays on loopback and needs no port mapper: all nodes of a cluster
# listen on the same port, each on the address that it is named after.
erlang() {
  local host=${NODE#*@} address=127.0.0.1 option=-sname
  local name=$1@$host
  [[ $host == localhost ]] || { address=$host option=-name; }
  shift
  cd "$dir"
  # The cookie is in the home folder, and made there on the first start.
  export HOME=$dir ERL_LIBS EJABBERD_CONFIG_PATH=$dir/ejabberd.yml EJABBERD_LOG_PATH=$dir/logs/ejabberd.log
  export ERL_CRASH_DUMP=$dir/logs/erl_crash.dump CONTRIB_MODULES_PATH=$dir/modules
  ERL_LIBS=$(sed -n "s/^ERL_LIBS='\(.*\)'/\1/p" /usr/sbin/ejabberdctl)
  as_owner erl "$option" "$name" -start_epmd false -erl_epmd_port "$DIST_PORT" \
    -kernel inet_dist_use_interface "{${address//./,}}" "$@"
}

# Whether PID is this folder's VM, and not another process that has got its number since.
is_running() { grep -qasF "$dir/spool" "/proc/$PID/cmdline"; }

# Its listeners are open before its modules have started. Who has it join a cluster then stops Mnesia while they start, and it ends, or hangs.
is_up() {
  [[ -e $dir/started ]] || return
  is_listening "$PROXY_PORT" && is_listening "$DIRECT_PORT" || return
  is_up_if_asked "$LINK_PORT" && is_up_if_asked "$TLS_PORT" && is_up_if_asked "$WEB_PORT"
}
is_up_if_asked() { [[ -z $1 ]] || is_listening "$1"; }
is_up_or_gone() { is_up || is_gone "$PID"; }

read_settings() {
  [[ -f $dir/settings ]] || fail "nothing was ever started in $dir"
  . "$dir/settings"
}

write_settings() {
  local name names=(PROXY_PORT DIRECT_PORT DIST_PORT CERTIFICATE PID NODE)
  [[ -z $LINK_PORT ]] || names+=(LINK_PORT)
  [[ -z $TLS_PORT ]] || names+=(TLS_PORT)
  [[ -z $WEB_PORT ]] || names+=(WEB_PORT)
  for name in "${names[@]}"; do printf '%s=%q\n' "$name" "${!name}"; done >"$dir/settings"
}

# Replaces the modules in ejabberd.yml, where they are last.
other_modules() {
  sed -i '/^modules:/,$d' "$dir/ejabberd.yml"
  cat >>"$dir/ejabberd.yml"
}

# The modules of the package's own configuration, and what they refer to.
debian_modules() {
  awk '/^[a-z_]+:/ { wanted = /^(acl|access_rules|shaper|shaper_rules|modules):/ } wanted' /etc/ejabberd/ejabberd.yml
}

# The listener of ejabberd_megaphone, as an entry of ejabberd.yml's list.
link_listener() {
  printf '  - %s\n' "module: ejabberd_megaphone"
  printf '    %s\n' "port: $LINK_PORT" "max_stanza_size: 262144" "shaper: none"
  [[ -z ${EJABBERD_LINK_MORE:-} ]] || sed 's/^/    /' <<<"$EJABBERD_LINK_MORE"
}

# A listener with TLS from the first byte on, likewise; it uses the same certificate as STARTTLS.
tls_listener() {
  printf '  - %s\n' "module: ejabberd_c2s"
  printf '    %s\n' "port: $TLS_PORT" 'ip: "127.0.0.1"' "tls: true" "max_stanza_size: 262144" "backlog: 1024" "shaper: none"
}

# ejabberd's own listener for WebSockets, likewise.
web_listener() {
  printf '  - %s\n' "module: ejabberd_http"
  printf '    %s\n' "port: $WEB_PORT" 'ip: "127.0.0.1"' "backlog: 1024" "request_handlers:" "  /ws: ejabberd_http_ws"
  [[ $EJABBERD_WEB == ws ]] || printf '    %s\n' "tls: true"
}

# add_listener FUNCTION: adds the function's output to the list.
add_listener() {
  "$1" >"$dir/listener.yml"
  sed -i "/^listen:/r $dir/listener.yml" "$dir/ejabberd.yml"
  rm "$dir/listener.yml"
}

# choose_port WANTED: prints that port, or the next one that is free, and was not chosen by a start that is still under way, when nobody listens yet,
# or for a temporary folder that is still there: its ejabberd may be down for a moment.
choose_port() {
  local port
  exec {lock}<"$ports"
  flock --wait 60 "$lock" || fail "others have been choosing ports for a minute; see who holds $ports"
  port=$(free_port "$1")
  until ! is_chosen "$port" && { say "$$ $dir" >"$ports/$port"; } 2>/dev/null; do
    port=$(free_port "$(( port + 1 ))")
  done
  exec {lock}<&-
  say "$port"
}
is_chosen() {
  local pid folder
  [[ -e $ports/$1 ]] && read -r pid folder <"$ports/$1" &&
    { is_alive "$pid" || [[ ${folder%/*} == "${ports%/*}" && -e $folder/settings ]]; }
}

install_module() {
  if [[ -z ${EJABBERD_MODULE:-} ]]; then
    "$here/../../src/ejabberd_megaphone/build.sh" "$dir/modules" >&2
  else
    mkdir -p "$dir/modules"
    cp -r "$EJABBERD_MODULE/." "$dir/modules/"
  fi
}

prepare() {
  mkdir -p "$dir/spool" "$dir/logs"
  if [[ -f $dir/settings ]]; then
    . "$dir/settings"
  else
    PROXY_PORT=$(choose_port "${EJABBERD_PROXY_PORT:-15222}")
    DIRECT_PORT=$(choose_port "${EJABBERD_DIRECT_PORT:-$(( PROXY_PORT + 1 ))}")
    DIST_PORT=$(choose_port "$(( DIRECT_PORT + 1 ))")
    [[ -z ${EJABBERD_NODE:-} ]] || NODE=megaphone@$EJABBERD_NODE
    [[ -z ${EJABBERD_JOIN:-} ]] || { DIST_PORT=$(. "$EJABBERD_JOIN/settings" && say "$DIST_PORT"); cp "$EJABBERD_JOIN/.erlang.cookie" "$dir"; }
    local last=$DIRECT_PORT
    (( DIST_PORT < last )) || last=$DIST_PORT
    CERTIFICATE=$dir/localhost.crt
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=localhost \
      -addext subjectAltName=DNS:localhost -keyout "$dir/localhost.key" -out "$CERTIFICATE" 2>"$dir/logs/openssl.log"
    cat "$CERTIFICATE" "$dir/localhost.key" >"$dir/localhost.pem"
    rm "$dir/localhost.key"
    sed -e "s|@DIR@|$dir|; s|@PROXY_PORT@|$PROXY_PORT|; s|@DIRECT_PORT@|$DIRECT_PORT|" \
      "$here/ejabberd.yml" >"$dir/ejabberd.yml"
    case ${EJABBERD_MODULES:-} in
      '') ;;
      none) other_modules <<<'modules: {}' ;;
      debian) debian_modules | other_modules ;;
      *) fail "EJABBERD_MODULES is \"$EJABBERD_MODULES\", which is neither none nor debian" ;;
    esac
    [[ -z ${EJABBERD_MORE:-} ]] || say "$EJABBERD_MORE" >>"$dir/ejabberd.yml"
    if [[ -n ${EJABBERD_MEGAPHONE:-} ]]; then
      LINK_PORT=$(choose_port "${EJABBERD_LINK_PORT:-$(( last + 1 ))}")
      add_listener link_listener
    fi
    if [[ -n ${EJABBERD_TLS:-} ]]; then
      TLS_PORT=$(choose_port "$(( ${LINK_PORT:-$last} + 1 ))")
      add_listener tls_listener
    fi
    if [[ -n ${EJABBERD_WEB:-} ]]; then
      WEB_PORT=$(choose_port "$(( ${TLS_PORT:-${LINK_PORT:-$last}} + 1 ))")
      add_listener web_listener
    fi
  fi
  [[ -z $LINK_PORT ]] || install_module
  if (( EUID == 0 )); then
    if setpriv --reuid=ejabberd --regid=ejabberd --init-groups test -x "$(dirname "$dir")"; then
      chown -R ejabberd:ejabberd "$dir"
    else
      say "the user ejabberd cannot reach $dir: running ejabberd as root" >&2
    fi
  fi
  chmod 600 "$dir/localhost.pem"
}

start() {
  [[ -x /usr/sbin/ejabberdctl ]] || fail "ejabberd is not installed"
  # For everybody, as the folder for temporary files is.
  [[ -d $ports ]] || (umask 0 && mkdir -m 1777 "$ports") 2>/dev/null || true
  prepare
  [[ -z ${PID:-} ]] || ! is_running || fail "it is running already, with pid $PID"
  rm -f "$dir/started"
  # Not more descriptors than it can use, for the VM keeps a table of all that it might.
  (
    limit=$(ulimit -H -n)
    [[ $limit != unlimited ]] && (( limit < 65536 )) || limit=65536
    ulimit -S -n "$limit"
    erlang megaphone -noinput +K true +P 2000000 -mnesia dir "\"$dir/spool\"" -s ejabberd -eval "$tell_started"
  ) >"$dir/logs/output.log" 2>&1 </dev/null &
  PID=$!
  write_settings
  if ! wait_until 120 is_up_or_gone || ! is_up; then
    end_process "$PID" 5
    show_logs "$dir"
    fail "ejabberd did not come up in $dir"
  fi
  [[ -z ${EJABBERD_JOIN:-} || -e $dir/joined ]] || join
  cat "$dir/settings"
}

show_logs() {
  local folder
  for folder in "$@"; do tail -n 30 "$folder/logs/output.log" "$folder/logs/ejabberd.log" >&2 || true; done
}

# Joins a cluster; ejabberd stops and starts within the VM for that. What the node forgets when it is killed is not that it has joined.
join() {
  if ! client join -noinput -eval "$join" -extra "$NODE" "$(. "$EJABBERD_JOIN/settings" && say "$NODE")"; then
    show_logs "$EJABBERD_JOIN" "$dir"
    fail "$NODE has not joined the cluster of $EJABBERD_JOIN"
  fi
  wait_until 120 is_up_or_gone && is_up || fail "$NODE is not up again after joining the cluster of $EJABBERD_JOIN"
  : >"$dir/joined"
}

# client NAME ARGUMENT…: runs a VM that talks to the node.
client() { (erlang "$1-$$" -noshell -hidden -dist_listen false "${@:2}"); }

# Erlang, in the VM itself, which comes to it when ejabberd has started.
tell_started='
  lists:keymember(ejabberd, 1, application:which_applications(infinity)) andalso file:write_file("started", "").'

# Erlang. Not by ejabberdctl, which gives up after a minute, however busy the machine is.
join='
  [NodeName, OtherName] = init:get_plain_arguments(),
  case rpc:call(list_to_atom(NodeName), ejabberd_cluster, join, [list_to_atom(OtherName)], 180000) of
    ok -> halt(0);
    Error -> io:format(standard_error, "~s does not join ~s: ~0tp~n", [NodeName, OtherName, Error]), halt(1)
  end.'

# Erlang. sync_log: Mnesia by itself writes to disk when it comes to it, which may be minutes later.
register='
  [NodeName | Accounts] = init:get_plain_arguments(),
  Node = list_to_atom(NodeName),
  Register = fun Next([Name, Password | Rest]) ->
      Account = [list_to_binary(Name), <<"localhost">>, list_to_binary(Password)],
      case rpc:call(Node, ejabberd_auth, try_register, Account) of
        ok -> Next(Rest);
        {error, exists} -> Next(Rest);
        Error -> io:format(standard_error, "~s cannot be registered: ~p~n", [Name, Error]), halt(1)
      end;
    Next([]) -> ok = rpc:call(Node, mnesia, sync_log, []), halt(0)
  end,
  Register(Accounts).'

# Erlang.
memory='
  [NodeName] = init:get_plain_arguments(),
  Node = list_to_atom(NodeName),
  ok = rpc:call(Node, ejabberd_admin, gc, []),
  io:format("~b~n", [rpc:call(Node, erlang, memory, [total])]),
  init:stop().'

# Erlang.
evaluate='
  [NodeName] = init:get_plain_arguments(),
  Evaluate = fun(Line) ->
      {ok, Tokens, _} = erl_scan:string(Line),
      {ok, Expressions} = erl_parse:parse_exprs(Tokens),
      case rpc:call(list_to_atom(NodeName), erl_eval, exprs, [Expressions, []]) of
        {value, Value, _} -> Value;
        Error -> Error
      end
    end,
  Read = fun Next() ->
      case io:get_line("") of
        eof -> halt(0);
        Line -> io:format("~0tp~n", [Evaluate(Line)]), Next()
      end
    end,
  Read().'

case $command in
  start) start ;;
  register) read_settings; client register -noinput -eval "$register" -extra "$NODE" "$@" ;;
  ctl) read_settings; client ctl -noinput -s ejabberd_ctl -extra "$NODE" "$@" ;;
  memory) read_settings; client memory -noinput -eval "$memory" -extra "$NODE" ;;
  # What is logged while something is evaluated for this VM would be printed by it.
  eval) read_settings; client eval -kernel logger '[{handler,default,undefined}]' -eval "$evaluate" -extra "$NODE" ;;
  settings) read_settings; cat "$dir/settings" ;;
  status) read_settings; is_running ;;
  stop)
    read_settings
    ! is_running || end_process "$PID" 15
    ;;
  kill)
    read_settings
    ! is_running || kill -KILL "$PID" 2>/dev/null || true
    wait_until 60 eval '! is_running' || fail "the process $PID does not end"
    ;;
  *) fail "unknown: $command; see the head of $0" ;;
esac
