#!/usr/bin/env bash
# Compiles Megaphone to one native file, out/megaphone. Exit status 0: this run has made that file, and it starts.
set -euo pipefail
cd "$(dirname "$0")"
. scripts/common.sh

rm -rf out
command -v dotnet >/dev/null || fail "there is no dotnet on the PATH; install the .NET SDK 10 first: https://dot.net"
install_packages artifacts/apt.log clang zlib1g-dev

target=artifacts/publish/megaphone
rm -rf "$target"
step "compiling to native code" artifacts/publish.log \
  dotnet publish src/Megaphone -c Release -r linux-x64 \
    -p:UseSharedCompilation=false -warnaserror -nodeReuse:false -tl:off -o "$target"

# Symbols and API documentation stay in the target folder.
version=$("$target/megaphone" --version) || fail "$target/megaphone does not start"
mkdir out
cp "$target/megaphone" out/megaphone
say "out/megaphone: $version, $(stat --format=%s out/megaphone | numfmt --to=si --format=%.1f)B"
