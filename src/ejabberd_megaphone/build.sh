#!/usr/bin/env bash
# build.sh DIR: compiles the module against the installed ejabberd, into DIR/ejabberd_megaphone/, so that
# CONTRIB_MODULES_PATH=DIR is all that ejabberd needs. Installs Debian's Erlang compiler if there is none.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../scripts/common.sh"

out=$(realpath --canonicalize-missing "${1:?the folder to put it in}")/ejabberd_megaphone

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

command -v erlc >/dev/null || install_packages "$work/apt.log" erlang-base
ejabberd=$(sed -n "s/^ERL_LIBS='\(.*\)'/\1/p" /usr/sbin/ejabberdctl 2>/dev/null || true)
ejabberd=$(echo "$ejabberd"/ejabberd-*/ebin)
ejabberd=${ejabberd%% *}
[[ -d $ejabberd ]] || fail "there is no ejabberd that /usr/sbin/ejabberdctl would start; install the package ejabberd"

# The sources include libraries by their names in ejabberd's own sources; Debian's folders have p1_ and a version in theirs.
libraries=$(erl -noinput -eval 'io:put_chars(code:lib_dir()), halt().')
mkdir "$work/include" "$work/ebin"
for names in xmpp:p1_xmpp fast_xml:p1_xml; do
  for found in "$libraries/${names#*:}"-* "$libraries/${names%:*}"-*; do
    [[ ! -d $found ]] || ln -sfn "$found" "$work/include/${names%:*}"
  done
done
erlc -Werror +warn_missing_spec +debug_info -I "$here/include" -I "${ejabberd%/ebin}/include" -I "$work/include" -pa "$ejabberd" \
  -o "$work/ebin" "$here"/src/*.erl

mkdir -p "$out"
rm -rf "$out/ebin"
cp -R "$work/ebin" "$out/ebin"
cp "$here/ejabberd_megaphone.spec" "$out/"
