#!/usr/bin/env bash
# Checks that the image has everything that the binary needs: builds a root folder with exactly the files that the Containerfile
# copies, and runs the binary in it as the image's user, in a chroot. Needs no container engine.
#
#   check.sh [amd64 | arm64]    the image for arm64 runs in an emulator, which lies in the root folder as well
#
# Besides the image's files there are only those that every engine provides: /proc, /etc/resolv.conf and /etc/hosts.
# Prints "ok" and "not ok" lines; the last line is "N passed, N failed".
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/common.sh
. tests/checks.sh

if (( EUID != 0 )); then
  as_root "$0" "$@"
  exit
fi
architecture=${1:-amd64}
emulator=()

root=$(mktemp -d) work=$(mktemp -d)
pids=()
clean_up() {
  local pid
  for pid in "${pids[@]}"; do end_process "$pid" 5; done
  rm -rf --one-file-system "$root" "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# ---- the stage with the libraries ----

# The Containerfile has patterns where the name of a folder depends on the architecture.
case $architecture in
  amd64) stage='' triplet=x86_64-linux-gnu ;;
  arm64)
    stage=artifacts/image/arm64 triplet=aarch64-linux-gnu
    emulator=(/qemu-aarch64-static)
    install_packages artifacts/apt.log mmdebstrap qemu-user-static
    ;;
  *) fail "the image is for amd64 or arm64, not for $architecture" ;;
esac
install_packages artifacts/apt.log binutils ca-certificates
if [[ -n $stage && ! -d $stage ]]; then
  # Nothing of it is executed, so that it is only unpacked.
  rm -rf "$stage.new"
  mkdir -p "${stage%/*}"
  step "unpacking libraries for $architecture" artifacts/image.log \
    mmdebstrap --variant=extract --architectures="$architecture" --include=libc6,libssl3 bookworm "$stage.new"
  mv "$stage.new" "$stage"
fi

# ---- the root folder, from the Containerfile's own lines ----

# copy SOURCE… TARGET: what COPY does. What is the same for every architecture is taken from this machine.
copy() {
  local target=$root${!#} source
  [[ $target != */ ]] || mkdir -p "$target"
  for source in "${@:1:$#-1}"; do
    source=${source//\*-linux-gnu/$triplet}
    # Before libraries lay below /usr there was a link.
    for source in "$stage$source" "$stage${source#/usr}" "$source"; do [[ -z $(compgen -G "$source") ]] || break; done
    install -D $source "$target"
  done
}

from_scratch=no
while read -ra words; do
  case ${words[*]} in
    "FROM scratch") from_scratch=yes ;;
    # The stage has the distribution on which the binary was linked: this machine's, or that of the same name.
    "COPY --from="*) copy "${words[@]:2}" ;;
    COPY*) install -D "${words[1]/\$\{TARGETARCH\}/$architecture}" "$root${words[2]}" ;;
    USER*) user=${words[1]} ;;
  esac
done <Containerfile
entrypoint=$(sed -n 's/^ENTRYPOINT \["\(.*\)"\]$/\1/p' Containerfile)
health=$(sed -n 's/^HEALTHCHECK.* CMD \["\(.*\)"\]$/\1/p' Containerfile | sed 's/", "/ /g')
image_files=$(cd "$root" && find . -type f -printf '%P\n' | sort)
[[ $architecture != arm64 ]] || cp /usr/bin/qemu-aarch64-static "$root/"

name_server=127.53.53.53
mkdir "$root/proc"
echo "nameserver $name_server" >"$root/etc/resolv.conf"
echo "127.0.0.1 localhost" >"$root/etc/hosts"
# mktemp's folder is accessible to its owner only.
chmod 755 "$root"

# A prefix that executes a command inside the root folder, as the image's user, with an empty environment.
inside=(unshare --mount sh -c 'mount -t proc proc "$1/proc" && root=$1 user=$2 && shift 2 &&
  exec env -i /usr/sbin/chroot --userspec="$user" "$root" "$@"' sh "$root" "$user" "${emulator[@]}")

# start NAME OPTION…: starts the entry point in the background, and waits until it is ready.
start() {
  local log=$work/$1.log
  shift
  "${inside[@]}" "$entrypoint" "$@" >"$log" 2>&1 </dev/null &
  pids+=("$!")
  wait_until 60 grep -q '^megaphone ready' "$log" || { cat "$log"; return 1; }
}

# start_contained NAME OPTION…: likewise, as process 1 of its namespace, as containers start it; sets `first` to its number here.
start_contained() {
  local inside=(unshare --mount --pid --fork --kill-child "${inside[@]:2}")
  start "$@" && first=$(<"/proc/${pids[-1]}/task/${pids[-1]}/children") && first=${first// /}
}

# echoes PORT: whether data sent there is echoed.
echoes() (
  exec {connection}<>"/dev/tcp/127.0.0.1/$1"
  say "is anybody there?" >&"$connection"
  read -r -t 5 answer <&"$connection" || fail "no echo was received"
  [[ $answer == "is anybody there?" ]]
)

# make_certificate: makes one for localhost, in the root folder, readable by the image's user.
make_certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -out "$root/localhost.pem" -keyout "$root/localhost.key"
  chmod 644 "$root/localhost.key"
}

# echoes_through_tls PORT
echoes_through_tls() {
  local answer
  answer=$({ echo "is anybody there?"; sleep 1; } | timeout 10 openssl s_client -connect "127.0.0.1:$1" -quiet -no_ign_eof \
    -verify_quiet -CAfile "$root/localhost.pem" -verify_return_error -servername localhost) || return 1
  [[ $answer == "is anybody there?" ]]
}

has_all_libraries() {
  local library loader
  loader=$(readelf --program-headers "$root$entrypoint" | sed -n 's/.*interpreter: \(.*\)\]/\1/p')
  for library in "$loader" $(readelf --dynamic "$root$entrypoint" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\/lib\/\1/p'); do
    [[ -n $library && -e $root$library ]] || { say "$library is missing"; return 1; }
  done
}
runs_as_user() { [[ $(stat --format=%u:%g "/proc/$1") == "$user" ]]; }
is_healthy() { timeout 10 "${inside[@]}" $health "$@"; }
is_unhealthy() { ! is_healthy "$@"; }
ends_with_zero() { kill -TERM "$1" && wait "$1"; }

choose_port() { printf -v "$1" %s "$(free_port "$2")"; }
choose_port clients 16222
choose_port link "$(( clients + 1 ))"
choose_port admin "$(( link + 1 ))"
choose_port named_clients "$(( admin + 1 ))"
choose_port named_link "$(( named_clients + 1 ))"
choose_port named_admin "$(( named_link + 1 ))"
choose_port tls_clients "$(( named_admin + 1 ))"
choose_port tls_admin "$(( tls_clients + 1 ))"
choose_port tls_link "$(( tls_admin + 1 ))"
choose_port tls_link_clients "$(( tls_link + 1 ))"
choose_port tls_link_admin "$(( tls_link_clients + 1 ))"
choose_port system_clients "$(( tls_link_admin + 1 ))"
choose_port system_admin "$(( system_clients + 1 ))"

# ---- the checks ----

check "the image starts from nothing" test "$from_scratch" = yes
check "it has every library that the binary is linked to" has_all_libraries
check "the entry point runs: $entrypoint --version" timeout 10 "${inside[@]}" "$entrypoint" --version
check "the health check fails while nothing runs" is_unhealthy --Admin:Listen "127.0.0.1:$admin"

check "the service comes up with both roles" start service --Ecm:Clients:0:Listen "127.0.0.1:$clients" \
  --Ecm:Link:To "127.0.0.1:$link" --Hub:Listen "127.0.0.1:$link" --Hub:Backend echo: --Admin:Listen "127.0.0.1:$admin"
service=${pids[-1]}
check "it runs as $user" runs_as_user "$service"
check "the health check succeeds: $health" wait_until 60 is_healthy --Admin:Listen "127.0.0.1:$admin"
check "data is echoed through ECM, link and hub" echoes "$clients"

tests/image/dns.py "$name_server" >"$work/dns.log" 2>&1 &
pids+=("$!")
check "a name server for the next check is up" wait_until 60 grep -q ready "$work/dns.log"
check "a backend can be a DNS name" start named --Ecm:Clients:0:Listen "127.0.0.1:$named_clients" \
  --Ecm:Link:To "127.0.0.1:$named_link" --Hub:Listen "127.0.0.1:$named_link" --Hub:Backend "tcp://echo.test:$clients" \
  --Admin:Listen "127.0.0.1:$named_admin"
# Sessions that come before the name server's answer are refused.
check "the name resolves, and data is echoed through it" wait_until 60 echoes "$named_clients"

check "a certificate for the next check is made" make_certificate
check "clients can use TLS" start tls --Ecm:Clients:0:Listen "127.0.0.1:$tls_clients" --Ecm:Clients:0:Tls direct \
  --Ecm:Tls:Certificates:0:Certificate /localhost.pem --Ecm:Tls:Certificates:0:Key /localhost.key \
  --Ecm:Link:To "127.0.0.1:$link" --Admin:Listen "127.0.0.1:$tls_admin"
check "data is echoed through TLS" wait_until 60 echoes_through_tls "$tls_clients"

check "links can use TLS" start tls_link --Hub:Listen "127.0.0.1:$tls_link" --Hub:Backend echo: \
  --Hub:Tls:Certificate /localhost.pem --Hub:Tls:Key /localhost.key --Hub:Tls:ClientCa /localhost.pem \
  --Ecm:Clients:0:Listen "127.0.0.1:$tls_link_clients" --Ecm:Link:To "127.0.0.1:$tls_link" --Ecm:Link:Tls:Ca /localhost.pem \
  --Ecm:Link:Tls:Name localhost --Ecm:Link:Tls:Certificate /localhost.pem --Ecm:Link:Tls:Key /localhost.key \
  --Admin:Listen "127.0.0.1:$tls_link_admin"
check "data is echoed through a link with TLS" wait_until 60 echoes "$tls_link_clients"

authorities=$root/usr/lib/ssl/cert.pem
has_authorities() { (( $(grep -c 'BEGIN CERTIFICATE' "$authorities") > 100 )); }
trust_certificate() { cat "$root/localhost.pem" >>"$authorities"; }
check "the image has the authorities of the distribution" has_authorities
check "one that is added to them" trust_certificate
check "is trusted by links that name none" start system_tls --Ecm:Clients:0:Listen "127.0.0.1:$system_clients" \
  --Ecm:Link:To "127.0.0.1:$tls_link" --Ecm:Link:Tls:Name localhost --Ecm:Link:Tls:Certificate /localhost.pem \
  --Ecm:Link:Tls:Key /localhost.key --Admin:Listen "127.0.0.1:$system_admin"
check "data is echoed through such a link" wait_until 60 echoes "$system_clients"

check "the load generator runs" timeout 60 "${inside[@]}" "$entrypoint" bench echo --to "127.0.0.1:$clients" --connections 20 --seconds 1
check "it exits with status 0 on SIGTERM" ends_with_zero "$service"

# ---- the first process of a container ----

# What an emulator executes anew is not the emulator.
if [[ $architecture == amd64 ]]; then
  is_first() { [[ $(sed -n 's/^NSpid:.*\t//p' "/proc/$first/status") == 1 ]]; }
  connect() { exec {client}<>"/dev/tcp/127.0.0.1/$1"; }
  is_echoed() {
    local answer
    say "$1" >&"$client"
    read -r -t 10 answer <&"$client" && [[ $answer == "$1" ]]
  }
  reloaded_once() { http_get 127.0.0.1 "$admin" /metrics 2>/dev/null | grep -qxF 'megaphone_reloads_total{result="done"} 1'; }
  first_ends_with_zero() { kill -TERM "$first" && wait "${pids[-1]}"; }
  # The one with TLS still looks for a hub there. Without a name of its own it would pass for this one, begun anew.
  check "it comes up as the first process of a container" start_contained contained --Ecm:Clients:0:Listen "127.0.0.1:$clients" \
    --Ecm:Link:To "127.0.0.1:$link" --Ecm:Link:Name contained --Hub:Listen "127.0.0.1:$link" --Hub:Backend echo: \
    --Admin:Listen "127.0.0.1:$admin"
  check "as which it runs" is_first
  check "its link comes up" wait_until 60 is_healthy --Admin:Listen "127.0.0.1:$admin"
  check "a client connects" connect "$clients"
  check "and is served" is_echoed "is anybody there?"
  check "it is told to reload" kill -HUP "$first"
  check "and does" wait_until 20 reloaded_once
  check "with the client connected" is_echoed "still there?"
  check "it exits with status 0 on SIGTERM" first_ends_with_zero
fi
say "the image's files: $(tr '\n' ' ' <<<"$image_files")"
end_checks
