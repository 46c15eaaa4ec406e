#!/usr/bin/env bash
# build.sh DIR: compiles the module against the ejabberd that is installed here, into DIR/ejabberd_megaphone/, so that
# CONTRIB_MODULES_PATH=DIR is all that ejabberd needs. Installs Debian's Erlang compiler if there is none.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../scripts/common.sh"

out=$(realpath --canonicalize-missing "${1:?the folder to put it in}")/ejabberd_megaphone

erlang_libraries() { erl -noinput -eval 'io:put_chars(code:lib_dir()), halt().'; }

command -v erlc >/dev/null && [[ -d $(echo /usr/lib/erlang/lib/compiler-*) ]] ||
  install_packages "$(mktemp -d)/apt.log" erlang-base
libraries=$(erlang_libraries)
ejabberd=$(sed -n "s/^ERL_LIBS='\(.*\)'/\1/p" /usr/sbin/ejabberdctl 2>/dev/null)
ejabberd=$(echo "${ejabberd:-/usr/lib/x86_64-linux-gnu}"/ejabberd-*/ebin)
ejabberd=${ejabberd##* }
[[ -d $ejabberd ]] || fail "ejabberd is not installed: there is no $ejabberd"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The sources name libraries as ejabberd's do; Debian's folders have a p1_ and a version in their names.
mkdir "$work/include" "$work/ebin"
for library in xmpp:p1_xmpp fast_xml:p1_xml; do
  found=$(echo "$libraries/${library#*:}"-*)
  [[ -d $found ]] || found=$(echo "$libraries/${library%:*}"-*)
  ln -s "${found##* }" "$work/include/${library%:*}"
done
ERL_LIBS=$work/include erlc -Werror +debug_info +warn_missing_spec_documented \
  -I "$here/include" -I "${ejabberd%/ebin}/include" -I "$work/include" -pa "$ejabberd" -o "$work/ebin" "$here"/src/*.erl

mkdir -p "$out"
rm -rf "$out/ebin"
cp -R "$work/ebin" "$out/ebin"
cp "$here/ejabberd_megaphone.spec" "$out/"
