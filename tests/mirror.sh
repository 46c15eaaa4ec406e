# Sourced after scripts/common.sh, never run.

# find_mirror FOLDER: sets `mirror` to the mirror of Debian that apt uses here, and writes to FOLDER/apt.conf how apt is to talk to it.
find_mirror() {
  local mirrors
  step "reading the lists of packages" "$1/apt.log" apt-get --quiet update
  mapfile -t mirrors < <(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | sort -u)
  mirror=${mirrors[0]:-}
  [[ -n $mirror ]] || fail "apt has no mirror of Debian here; see sources.list(5)"
  apt-config dump | grep -E '^Acquire::(https?(::| )|Check-|Retries)' >"$1/apt.conf" || true
}
