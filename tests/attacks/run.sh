#!/usr/bin/env bash
# Plays attacks against out/megaphone (published if it is not there; or what MEGAPHONE_BINARY names) with Debian's ejabberd behind it, while 200
# honest clients chat, each with one other, half of them in the clear and half over TLS 1.2 and 1.3. Some ten minutes for all of them.
#
#   run.sh [--seconds N] [--json FILE] [--peer haproxy|ejabberd] [ATTACK…]
#
#   --seconds N   how long each attack is played, and the same time without it before; 5 (the forged ones take 2, floods of logins last three
#                 times as long)
#   --json FILE   writes what was measured there, too
#   --peer NAME   clients, and attackers, connect to HAProxy, which tells ejabberd their addresses, or to ejabberd itself. Some four minutes
#                 for the attacks that can be had there; their bounds are told, and not asked for
#   ATTACK        the attacks to play; all
#
#   key-updates, key-updates-asked    TLS 1.3 clients send key updates and nothing else; those who ask have not logged in
#   key-updates-unread                TLS 1.3 clients request key updates, with data between them, and never read
#   client-hellos                     TLS 1.2 clients send headers of ClientHello messages behind their handshake
#   empty-records, warnings           TLS 1.2 and 1.3 clients send records without data and nothing else
#   single-bytes                      TLS 1.2 and 1.3 clients that have logged in send long records in single bytes
#   colliding-ids[-module]            links open sessions whose ids have the same hash
#   descriptors                       far more connections than the ECM has descriptors, while others log in
#   silent-handshakes                 connections to the TLS listener that say nothing, while others log in
#   begun-handshakes                  the same with connections that begin with the head of a record
#   partial-stanzas                   connections that never log in hold parts of stanzas
#   silent-logins[-many]              500 logins a second begin and say no more, from ten addresses, or from ten thousand
#   silent-logins-turns               the latter, with Ecm:Logins:AtOnce 3000
#   failing-logins[-many]             500 logins a second with a wrong password, from as many addresses
#   failing-logins-turns              the former, with Ecm:Logins:AtOnce 20
#   invalid-utf8                      stream headers that are no UTF-8, for the module
#   garbage-links[-module]            links that speak garbage, one after the other
#   secret-guesses[-module]           links that guess the secret
#   silent-links                      silent links and half handshakes take all places, while an honest ECM comes back
#   slow-requests                     requests to the admin endpoint that do not end
#   forged-log[-module]               names in hello with line breaks and terminal codes
#   forged-attribute                  stream headers before STARTTLS that would have attributes in their answer
#
# One row for each: how long messages of honest clients were under way (in milliseconds; of 100 messages 99, and the longest) without and with
# the attack; how many clients, health checks and links were harmed (disconnected, refused, left without the right answer);
# the attacked process's memory before and at its peak; bytes written to logs, ejabberd's included; outcome for the attacker. Where others
# log in meanwhile, how long that took them, from the first attempt on, of 100 logins 99 and the longest.
#
# Attacks on a hub have one between ECM and ejabberd, but for colliding-ids, where it is an echo.
#
# Exit status 0: all bounds were kept. 1: one was not. Nobody may be harmed, no wait be longer than the longest without the
# attack by more than 50 ms, no more than 64 KiB be logged, no flood of TLS take more than 8 MiB, and the attacker not get what it
# wants. 2: wrong options.
# 130: interrupted; nothing keeps running.
# The bound on waits wants a machine that has nothing else to do. Everything stays on loopback, on ports of its own.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/common.sh

mkdir -p artifacts
export MEGAPHONE_BINARY=${MEGAPHONE_BINARY:-$PWD/out/megaphone}
[[ -x $MEGAPHONE_BINARY ]] || ./publish.sh
tests/ejabberd/install.sh artifacts/apt.log
install_packages artifacts/apt.log haproxy libssl3 openssl util-linux

project=tests/attacks/Megaphone.Attacks
step "compiling the attacks" artifacts/attacks-build.log \
  dotnet build "$project" -c Release -tl:off -nodeReuse:false -p:UseSharedCompilation=false
program=artifacts/bin/Megaphone.Attacks/release/Megaphone.Attacks.dll

exec dotnet "$program" "$@"
