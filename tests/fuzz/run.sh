#!/usr/bin/env bash
# Fuzzes what reads bytes from strangers: AFL++ changes the inputs of corpus/ and keeps those that reach code which none has reached.
# (A short run, the same every time, is part of the unit tests: FuzzTests.)
#
#   run.sh HOURS [TARGET…]
#
#   HOURS     how long each target is fuzzed; a fraction will do: 0.05 are three minutes. One core each, as many at once as there are
#   TARGET    the targets; all
#
#   control           control messages, against System.Text.Json
#   handover          what a process hands over to its next image, part by part
#   packet-header     packet headers, against a plain reading of the specification
#   packet-splitter   a link's stream in parts
#   proxy-header      PROXY headers that are written, against a strict reader
#   proxy-received    PROXY headers that are received, in parts, against another reading
#   starttls          what a client sends before its TLS: stream, STARTTLS, records
#   stream-splitter   a client's XML stream in parts, against System.Xml
#   tls-record-reader records of a TLS peer that has the right keys, or not
#   tls-records       the same records to OpenSSL and to ours
#   web-frames        a client's WebSocket frames in parts, against a plain reader
#   web-messages      a client's messages over a WebSocket, against System.Xml
#   web-request       the head of a connection's first request, against a strict reader
#
# One row for each: executions, and how many a second; inputs at the beginning and at the end; edges of Megaphone.Core's code that they
# reach together, and how many the corpus reaches alone; crashes and hangs. All of it stays in artifacts/fuzz/, in a folder for each run:
# TARGET/default/crashes and hangs have the inputs, TARGET/new those that are worth keeping in corpus/: they reach what it does not.
# What a property says, and where it was broken, shows
#
#   dotnet run --project tests/fuzz/Megaphone.Fuzz -- TARGET FILE
#
# A new target is a class in Megaphone.Fuzz, a line in FuzzTargets, a folder in corpus/ with an input of each kind, and the words that
# its inputs are made of in dictionaries/. An input that found a bug goes into corpus/ with the fix.
#
# Exit status 0: nothing was found. 1: there were crashes or hangs, or a fuzzer did not run to its end. 2: wrong arguments.
# 130: interrupted; nothing keeps running.
set -euo pipefail
cd "$(dirname "$0")"
. ../../scripts/common.sh

here=$PWD
targets=("${@:2}")
(( ${#targets[@]} > 0 )) || targets=(corpus/*)
targets=("${targets[@]#corpus/}")
seconds=$(awk -v hours="${1-}" 'BEGIN { if (hours !~ /^([0-9]+\.?[0-9]*|\.[0-9]+)$/ || hours * 3600 < 1) exit 1; print int(hours * 3600) }') ||
  { say "run.sh: HOURS must be a number above 0, as in: run.sh 0.5 control" >&2; exit 2; }
for target in "${targets[@]}"; do
  [[ -d corpus/$target ]] || { say "run.sh: there is no target $target; there are: $(cd corpus && echo *)" >&2; exit 2; }
done

artifacts=$(cd ../.. && pwd)/artifacts
output=$artifacts/fuzz/$(date +%Y%m%d-%H%M%S)
program=$output/program
dotnet=$(command -v dotnet)
mkdir -p "$output"

install_packages "$output/apt.log" afl++
step "fetching sharpfuzz" "$output/tool.log" dotnet tool restore
step "compiling the targets" "$output/build.log" \
  dotnet build Megaphone.Fuzz -c Release -tl:off -nodeReuse:false -p:UseSharedCompilation=false
cp -r "$artifacts/bin/Megaphone.Fuzz/release" "$program"
# Only what the targets are about: of the rest too much runs by chance.
step "instrumenting Megaphone.Core" "$output/instrument.log" \
  dotnet sharpfuzz "$program/Megaphone.Core.dll" \
  Megaphone.Protocol Megaphone.Web Megaphone.Xmpp Megaphone.Ecm.ProxyHeader Megaphone.Ecm.ReceivedProxyHeader Megaphone.Ecm.StartTlsDialogue \
  Megaphone.Tls

# No script that AFL++ could look into, no wish about the processor's frequency or the kernel's core pattern, no screen.
export AFL_SKIP_BIN_CHECK=1 AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_AFFINITY=1 AFL_NO_UI=1 AFL_NO_COLOR=1
# Code is compiled once: what is compiled again while it runs would be slow now and then for no reason.
export DOTNET_TieredCompilation=0

fuzz() {
  local target=$1
  mkdir -p "$output/$target"
  exec afl-fuzz -V "$seconds" -t 5000 -m none -G 8192 \
    -x "$here/dictionaries/$target.dict" -i "$here/corpus/$target" -o "$output/$target" -- \
    "$dotnet" "$program/Megaphone.Fuzz.dll" "$target" >"$output/$target/afl.log" 2>&1 </dev/null
}

# edges TARGET FOLDER MAP: writes to MAP which edges the inputs of a folder reach together, and says how many they are.
edges() {
  afl-showmap -C -e -q -t 5000 -m none -i "$2" -o "$3" -- "$dotnet" "$program/Megaphone.Fuzz.dll" "$1" >/dev/null 2>&1 || true
  wc -l <"$3"
}

# keep TARGET: copies the inputs found that reach edges which corpus/ does not, the shortest first.
keep() {
  local queue=$output/$1/default/queue name
  mkdir "$output/$1/new" "$output/$1/edges"
  afl-showmap -e -q -t 5000 -m none -i "$queue" -o "$output/$1/edges" -- \
    "$dotnet" "$program/Megaphone.Fuzz.dll" "$1" >/dev/null 2>&1 || true
  # awk.
  local first='!($1 in reached) { reached[$1]; if (FILENAME != ARGV[1] && !(FILENAME in kept)) { kept[FILENAME]; print FILENAME } }'
  (cd "$output/$1/edges" && find "$queue" -maxdepth 1 -name 'id:*' -printf '%s ./%f\n' | sort -n | cut -d' ' -f2- |
    xargs -d '\n' awk -F: "$first" ../corpus.map) |
  while read -r name; do
    cp "$queue/$name" "$output/$1/new/found-$(sha1sum "$queue/$name" | cut -c1-8)"
  done
}

stat_of() { sed -nE "s/^$2 *: //p" "$output/$1/default/fuzzer_stats"; }

declare -A running=()
trap '(( ${#running[@]} == 0 )) || kill "${!running[@]}" 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM

say "fuzzing ${targets[*]}: $seconds s each, $(nproc) at a time; logs and findings in ${output#"$artifacts/"}"
failed=0
await_one() {
  local pid status=0
  wait -n -p pid "${!running[@]}" || status=$?
  (( status == 0 )) || { say "${running[$pid]}: afl-fuzz ended with status $status; see $output/${running[$pid]}/afl.log" >&2; failed=1; }
  unset "running[$pid]"
}
for target in "${targets[@]}"; do
  (( ${#running[@]} < $(nproc) )) || await_one
  fuzz "$target" &
  running[$!]=$target
done
while (( ${#running[@]} > 0 )); do await_one; done

row='%-16s %12s %8s %14s %14s %8s %6s\n'
printf "$row" target executions 1/s inputs edges crashes hangs
for target in "${targets[@]}"; do
  [[ -f $output/$target/default/fuzzer_stats ]] || continue
  crashes=$(stat_of "$target" saved_crashes) hangs=$(stat_of "$target" saved_hangs)
  (( crashes + hangs == 0 )) || failed=1
  at_start=$(edges "$target" "$here/corpus/$target" "$output/$target/corpus.map")
  at_end=$(edges "$target" "$output/$target/default/queue" "$output/$target/queue.map")
  printf "$row" "$target" "$(stat_of "$target" execs_done)" "$(stat_of "$target" execs_per_sec)" \
    "$(find "$here/corpus/$target" -type f | wc -l) → $(stat_of "$target" corpus_count)" "$at_start → $at_end" "$crashes" "$hangs"
  keep "$target"
done
exit "$failed"
