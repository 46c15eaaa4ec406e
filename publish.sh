#!/usr/bin/env bash
# publish.sh [linux-x64 | linux-arm64]: compiles Megaphone to one native file: out/megaphone, or for 64-bit ARM, cross compiled,
# out/linux-arm64/megaphone. Exit status 0: this run has made that file, and it starts.
set -euo pipefail
cd "$(dirname "$0")"
. scripts/common.sh

runtime=${1:-linux-x64} options=() start=()
case $runtime in
  linux-x64) folder=out architecture=amd64 packages=(clang zlib1g-dev) ;;
  linux-arm64)
    folder=out/linux-arm64 architecture=arm64 packages=(clang gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static)
    # What is made for the other one, and which packages it is made of, is kept apart from what is made for this machine.
    options=(-p:RuntimeIdentifiers=linux-arm64 -p:ArtifactsPath="$PWD/artifacts/linux-arm64/" -p:NuGetLockFilePath=packages.linux-arm64.lock.json
      -p:ObjCopyName=aarch64-linux-gnu-objcopy)
    start=(qemu-aarch64-static -L /usr/aarch64-linux-gnu)
    ;;
  *) fail "$runtime is neither linux-x64 nor linux-arm64" ;;
esac

rm -rf "$folder"
command -v dotnet >/dev/null || fail "there is no dotnet on the PATH; install the .NET SDK 10 first: https://dot.net"
install_packages artifacts/apt.log "${packages[@]}"

# By the name that images and Debian's packages have for it.
target=artifacts/publish/$architecture
rm -rf "$target"
step "compiling to native code" artifacts/publish.log \
  dotnet publish src/Megaphone -c Release -r "$runtime" \
    -p:UseSharedCompilation=false -warnaserror -nodeReuse:false -tl:off "${options[@]}" -o "$target"

# Symbols and API documentation stay in the target folder.
version=$("${start[@]}" "$target/megaphone" --version) || { rm -rf "$target"; fail "the binary that was compiled does not start"; }
mkdir -p "$folder"
cp "$target/megaphone" "$folder/megaphone"
say "$folder/megaphone: $version, $(stat --format=%s "$folder/megaphone" | numfmt --to=si --round=nearest --format=%.1f)B"
