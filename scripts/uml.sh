# User-mode Linux: a kernel that is executed as a process of this machine. Sourced after scripts/common.sh, at the top of the tree, never run.
#
# The kernel is that of Debian sid, whose mode with seccomp is five times as fast as that of Debian 12's own; nothing is installed of it.

uml=$PWD/artifacts/uml

# The kernel, and the C library that it wants, in a folder of their own.
make_uml() {
  local work=$uml.new package mirror=http://deb.debian.org/debian
  install_packages "$uml.log" iproute2 python3
  rm -rf "$work"
  mkdir -p "$work"/apt/lists/partial "$work"/apt/cache/archives/partial "$work/lib"
  say "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" >"$work/apt/sources.list"
  local sid=(-qq -o Dir::Etc::SourceList="$work/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$work/apt/lists"
    -o Dir::Cache="$work/apt/cache" -o Dir::State::status=/dev/null -o Acquire::Languages=none -o APT::Sandbox::User=root)
  apt-get "${sid[@]}" update
  (cd "$work" && apt-get "${sid[@]}" download user-mode-linux libc6)
  for package in "$work"/*.deb; do dpkg --extract "$package" "$work/files"; done
  cp "$work/files/usr/lib/x86_64-linux-gnu/libc.so.6" "$work/lib/"
  cp "$work/files/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" "$work/lib/ld.so"
  # It executes itself anew while it starts, and relies on where its loader puts it, so it is told of its loader in its own file.
  python3 - "$work/files/usr/bin/linux.uml" "$work/linux" <<'PYTHON'
import sys
binary = open(sys.argv[1], "rb").read()
old, new = b"/lib64/ld-linux-x86-64.so.2\0", b"lib/ld.so\0"
assert binary.count(old) == 1
open(sys.argv[2], "wb").write(binary.replace(old, new.ljust(len(old), b"\0")))
PYTHON
  chmod +x "$work/linux"
  rm -rf "$work"/apt "$work"/files "$work"/*.deb "$uml"
  mv "$work" "$uml"
}

# need_uml: makes sure of the kernel.
need_uml() {
  mkdir -p "${uml%/*}"
  [[ -x $uml/linux ]] || step "fetching the kernel of user-mode Linux" "$uml.log" make_uml
}

# execute_uml FOLDER SECONDS ARGUMENT…: executes the kernel in this process, as far as it may not do so for ever; its console is the output, and its
# own files are in that folder. The arguments are more of the kernel's: mem=, root=, init=.
execute_uml() {
  cd "$uml"
  TMPDIR=/dev/shm exec timeout --kill-after=5 "$2" env HOME="$1" LD_LIBRARY_PATH="$uml/lib" ./linux seccomp=on quiet panic=-1 \
    con=null con0=null,fd:1 con1=null,fd:1 ssl=null uml_dir="$1" umid=machine "${@:3}" </dev/null
}
