# Sourced by the benchmarks: goes to the top of the tree, and makes sure of the binary and the peers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/common.sh

logs=artifacts/bench
mkdir -p "$logs"
install_packages "$logs/apt.log" haproxy python3
tests/bench/install-nginx.sh "$logs/apt.log"
export MEGAPHONE="${MEGAPHONE:-out/megaphone}"
[[ -x $MEGAPHONE ]] || fail "there is no $MEGAPHONE; ./publish.sh makes it, or let MEGAPHONE name another"

# measure CLAIM ARGUMENTS…: runs the part that measures, with Debian's own Python, whatever else is on the PATH.
measure() { exec /usr/bin/python3 "tests/bench/$1.py" "${@:2}"; }
