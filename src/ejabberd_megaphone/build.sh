#!/usr/bin/env bash
# build.sh DIR [EJABBERDCTL]: compiles the module for the installed ejabberd, into DIR/ejabberd_megaphone/, so that
# CONTRIB_MODULES_PATH=DIR is all that ejabberd needs.
#
# Without EJABBERDCTL it is Debian's ejabberd (/usr/sbin/ejabberdctl), or else the newest of ProcessOne's packages (/opt/ejabberd-*/bin/ejabberdctl).
# Those bring an Erlang along, which then compiles the module; for Debian's, the Erlang compiler is installed if there is none.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../scripts/common.sh"

out=$(realpath --canonicalize-missing "${1:?the folder to put it in}")/ejabberd_megaphone
if (( $# > 1 )); then
  wanted=("$2")
else
  wanted=(/usr/sbin/ejabberdctl '/opt/ejabberd-*/bin/ejabberdctl')
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

first() { say "$1"; }

# find_ejabberd EJABBERDCTL: sets `ejabberd` to the folder of the ejabberd that it starts, `runtime` to that of the Erlang which the package
# brings along (empty: it uses the system's).
find_ejabberd() {
  local release
  release=$(realpath --canonicalize-missing "$1/../..")
  if [[ -x $(first "$release"/erts-*/bin/erl) ]]; then
    runtime=$release
    ejabberd=$(first "$release"/lib/ejabberd-*)
  else
    runtime=
    ejabberd=$(sed -n "s/^ERL_LIBS='\(.*\)'/\1/p" "$1" 2>/dev/null || true)
    ejabberd=$(first "$ejabberd"/ejabberd-*)
  fi
  [[ -d $ejabberd/ebin ]]
}

# The newest first, where a pattern stands for many.
mapfile -t found < <(for pattern in "${wanted[@]}"; do compgen -G "$pattern" | sort --version-sort --reverse; done)
for ejabberdctl in "${found[@]}" ''; do
  ! find_ejabberd "$ejabberdctl" || break
done
[[ -n $ejabberdctl ]] || fail "found no ejabberd. Looked for one that is started by:
$(printf '    %s\n' "${wanted[@]}")
with the line ERL_LIBS='FOLDER' in it and FOLDER/ejabberd-VERSION/ebin, or with lib/ejabberd-VERSION/ebin and erts-VERSION/bin/erl in the
folder above its own. Install Debian's package ejabberd, or say which ejabberd it is: build.sh DIR /opt/ejabberd-24.12/bin/ejabberdctl"

if [[ -n $runtime ]]; then
  libraries=$runtime/lib
  # There is no erlc in it; this is what erlc does.
  boot=$(first "$runtime"/releases/*/start_clean.boot)
  compiler=("$(first "$runtime"/erts-*/bin/erl)" -noinput -boot "${boot%.boot}" -boot_var RELEASE_LIB "$libraries" -pa "$ejabberd/ebin"
    -s erl_compile compile_cmdline -extra)
else
  command -v erlc >/dev/null || install_packages "$work/apt.log" erlang-base
  libraries=$(erl -noinput -eval 'io:put_chars(code:lib_dir()), halt().')
  compiler=(erlc -pa "$ejabberd/ebin")
fi

# The sources include libraries by their names in ejabberd's own sources; Debian's folders have p1_ and a version in theirs.
mkdir "$work/include" "$work/ebin"
for names in xmpp:p1_xmpp fast_xml:p1_xml; do
  for folder in "$libraries/${names#*:}"-* "$libraries/${names%:*}"-*; do
    [[ ! -d $folder ]] || ln -sfn "$folder" "$work/include/${names%:*}"
  done
done
"${compiler[@]}" -Werror +warn_missing_spec +debug_info -I "$here/include" -I "$ejabberd/include" -I "$work/include" \
  -o "$work/ebin" "$here"/src/*.erl

mkdir -p "$out"
rm -rf "$out/ebin"
cp -R "$work/ebin" "$out/ebin"
cp "$here/ejabberd_megaphone.spec" "$out/"
