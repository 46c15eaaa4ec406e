# Shell helpers that several scripts use; sourced, never run. They need only bash and coreutils, because
# a script may be about to install anything else.

export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_CLI_UI_LANGUAGE=en
export DEBIAN_FRONTEND=noninteractive
# No build server outlives the script that started it.
export MSBUILDDISABLENODEREUSE=1 DOTNET_CLI_USE_MSBUILD_SERVER=0

say() { printf '%s\n' "$*"; }
fail() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# step TITLE LOG COMMAND…: runs the command with its output in LOG, and prints its progress in seconds.
# On failure prints the end of LOG and returns the command's status. If interrupted, it kills the command.
step() {
  local title=$1 log=$2 status=0 pid traps began=$SECONDS shown=5
  shift 2
  mkdir -p "$(dirname "$log")"
  printf '%s ' "$title"
  # A process group of its own, so that all of it can be killed: a background command does not get Ctrl-C.
  set -m
  "$@" >"$log" 2>&1 </dev/null &
  set +m
  pid=$!
  traps=$(trap -p INT TERM)
  trap 'kill -- "-$pid"; exit 130' INT TERM
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    (( SECONDS - began < shown )) || { printf '… %ss ' "$(( SECONDS - began ))"; (( shown *= 2 )); }
  done
  wait "$pid" || status=$?
  trap - INT TERM
  eval "$traps"
  if (( status == 0 )); then
    printf '✓ %ss\n' "$(( SECONDS - began ))"
  else
    printf '✗ exit status %s; the end of %s:\n' "$status" "$log"
    tail -n 30 "$log" | sed 's/^/    /'
  fi
  return "$status"
}

# as_root COMMAND…: runs the command as root, with sudo if necessary.
as_root() {
  if (( EUID == 0 )); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo env DEBIAN_FRONTEND="$DEBIAN_FRONTEND" "$@"
  else
    say "this needs root and there is no sudo: $*" >&2
    return 1
  fi
}

is_installed() { [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# install_packages LOG PACKAGE…: installs the missing packages, and prints which. Package lists are updated only
# if the installation fails with the current ones.
install_packages() {
  local log=$1 package missing=()
  shift
  for package in "$@"; do is_installed "$package" || missing+=("$package"); done
  (( ${#missing[@]} > 0 )) || return 0
  command -v apt-get >/dev/null || { say "please install: ${missing[*]} (no apt-get here)" >&2; return 1; }
  # sudo may ask for a password: in the foreground, before the step.
  as_root true
  step "installing ${missing[*]}" "$log" apt_install "${missing[@]}"
}

apt_install() {
  local get=(as_root apt-get --quiet --yes --option DPkg::Lock::Timeout=120)
  "${get[@]}" install --no-install-recommends "$@" ||
    { "${get[@]}" update && "${get[@]}" install --no-install-recommends "$@"; }
}

# wait_until SECONDS COMMAND…: true as soon as the command is, false if it still is not after SECONDS.
wait_until() {
  local tries=$(( $1 * 20 ))
  shift
  until "$@"; do
    (( tries-- > 0 )) || return 1
    sleep 0.05
  done
}

# Reads /proc rather than connecting: a silent connection blocks a listener that waits for a PROXY header.
is_listening() { grep -qis ": [0-9A-F]*:$(printf %04X "$1") [0-9A-F]*:0000 0A " /proc/net/tcp /proc/net/tcp6; }
# A socket that is closing (any other state) does not keep a listener from the port.
is_port_used() {
  grep -qis ": [0-9A-F]*:$(printf %04X "$1") [0-9A-F]*:[0-9A-F]* 0[1238A] " /proc/net/tcp /proc/net/tcp6
}

# free_port WANTED: prints that port, or the next one that is not in use.
free_port() {
  local port=$1
  while is_port_used "$port"; do (( port++ )); done
  say "$port"
}

is_alive() { kill -0 "$1" 2>/dev/null; }
is_gone() { ! is_alive "$1"; }

# end_process PID SECONDS: sends SIGTERM, and SIGKILL if the process has not ended after SECONDS.
end_process() {
  kill -TERM "$1" 2>/dev/null || return 0
  wait_until "$2" is_gone "$1" || kill -KILL "$1" 2>/dev/null || true
}

# http_get HOST PORT PATH: prints the body of the answer. curl may be missing.
http_get() (
  exec {connection}<>"/dev/tcp/$1/$2"
  printf 'GET %s HTTP/1.0\r\nHost: %s:%s\r\n\r\n' "$3" "$1" "$2" >&"$connection"
  while IFS= read -r line <&"$connection" && [[ $line != $'\r' ]]; do :; done
  cat <&"$connection"
)
