#!/usr/bin/env bash
# Compiles Megaphone to one native file, out/megaphone. Exit status 0: that file was made by this run, and it starts.
set -euo pipefail
cd "$(dirname "$0")"
. scripts/common.sh

rm -rf out
command -v dotnet >/dev/null || fail "there is no dotnet on the PATH; install the .NET SDK 10 first: https://dot.net"
install_packages artifacts/apt.log clang zlib1g-dev

build=(-r linux-x64 -p:MegaphoneAot=true -p:UseSharedCompilation=false -warnaserror -nodeReuse:false -tl:off)
framework=net10.0
log=artifacts/publish.log

restore() { dotnet restore src/Megaphone "${build[@]}" -p:MegaphoneTfm="$framework"; }

# Every error of the restore is about a Native AOT pack that the package feed does not have.
lacks_native_pack() {
  local pack="error NU110[12]: Unable to find package [^ ]*(NativeAOT|ILCompiler)"
  grep -Eq "$pack" "$log" && ! grep ' error ' "$log" | grep -Evq "$pack"
}

mkdir -p artifacts
if ! restore >"$log" 2>&1; then
  if lacks_native_pack; then
    framework=net9.0
    say "the package feed has no Native AOT pack for net10.0: publishing for net9.0 instead"
    step "restoring packages" "$log" restore
  else
    say "restoring packages failed; the end of $log:"
    tail -n 30 "$log"
    exit 1
  fi
fi

target=artifacts/publish
rm -rf "$target"
step "compiling to native code ($framework)" "$log" \
  dotnet publish src/Megaphone -c Release --no-restore "${build[@]}" -p:MegaphoneTfm="$framework" -o "$target"

# Symbols and API documentation stay behind in the target folder.
version=$("$target/megaphone" --version) || fail "$target/megaphone does not start"
mkdir out
cp "$target/megaphone" out/megaphone
say "out/megaphone: $version, $(stat --format=%s out/megaphone | numfmt --to=si --format=%.1f)B"
