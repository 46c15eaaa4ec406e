#!/usr/bin/env bash
# Makes a release: see --help.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/common.sh

usage="scripts/release.sh VERSION [--branch NAME] [--published CHECKOUT]

Makes the release VERSION, for example 1.2.3, of what is committed. It refuses, and says what is wrong and what would be right, unless

    the branch is main, or NAME, and nothing is changed or untracked,
    VERSION is the one in Directory.Build.props,
    CHANGELOG.md has a section \"## VERSION\" with text in it, and nothing is left under \"## Unreleased\",
    the tag vVERSION does not exist.

It publishes the binary, and makes in out/release/

    megaphone-VERSION-linux-x64.tar.gz   the binary, packaging/, the module's sources, documents, licences; the same from the same binary
    megaphone_VERSION-1_amd64.deb        the package for Debian 12 and newer, as packaging/deb.sh makes it
    megaphone-VERSION.cdx.json           the bill of materials: CycloneDX, with each package's version, hash and licence
    SHA256SUMS                           the checksums of these three
    notes.md                             the section of CHANGELOG.md

and then the annotated tag vVERSION with these notes. It pushes nothing, and prints the commands that do.

    --published CHECKOUT   takes the binary that ./publish.sh has made in that folder, and does not publish. It is checked to say VERSION,
                           and not what else it was made of: for tests"

usage_error() { say "$(basename "$0"): $*"$'\n\n'"$usage" >&2; exit 2; }

version='' branch=main published=''
while (( $# > 0 )); do
  case $1 in
    --help) say "$usage"; exit ;;
    --branch) branch=${2-}; [[ -n $branch ]] || usage_error "--branch: expected a name, for example main"; shift ;;
    --published) published=${2-}; [[ -n $published ]] || usage_error "--published: expected a folder in which ./publish.sh has run"; shift ;;
    -*) usage_error "unknown option $1" ;;
    *) [[ -z $version ]] || usage_error "one version is expected, not $version and $1"; version=$1 ;;
  esac
  shift
done
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || usage_error "expected a version such as 1.2.3, not '$version'"
tag=v$version

# ---- what must be right before ----

problems=0
problem() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; (( ++problems )); }

# changelog_section TITLE: prints what stands under that title in CHANGELOG.md, without empty lines around it.
changelog_section() {
  say "$(awk -v title="## $1" '/^## / { inside = $0 == title; next } inside' CHANGELOG.md | sed '/./,$!d')"
}

# check_clean FIX
check_clean() {
  local changes
  changes=$(git status --porcelain)
  [[ -z $changes ]] || problem "what is released must be committed, and these files are not:"$'\n'"$changes"$'\n'"    $1"
}

check_branch() {
  local current
  current=$(git symbolic-ref --quiet --short HEAD) || current="no branch"
  [[ $current == "$branch" ]] ||
    problem "releases are made on $branch, and this is $current: git switch $branch, or say --branch $current"
}

check_version() {
  local set_version
  set_version=$(sed -n 's:.*<VersionPrefix>\(.*\)</VersionPrefix>.*:\1:p' Directory.Build.props)
  [[ $set_version == "$version" ]] ||
    problem "Directory.Build.props has the version $set_version: set <VersionPrefix>$version</VersionPrefix>, or release $set_version"
}

check_changelog() {
  if ! grep -qxF "## $version" CHANGELOG.md; then
    problem "CHANGELOG.md has no section for this version: it should have the title '## $version', and under it what has changed"
  elif [[ -z $(changelog_section "$version") ]]; then
    problem "CHANGELOG.md says nothing under '## $version': list there what users notice"
  fi
  [[ -z $(changelog_section Unreleased) ]] ||
    problem "CHANGELOG.md still has changes under '## Unreleased': move them to '## $version'"
}

check_tag() {
  ! git rev-parse --quiet --verify "refs/tags/$tag" >/dev/null ||
    problem "the tag $tag exists, of commit $(git rev-parse --short "$tag^{commit}"): a version that was released is not changed; choose the next one"
}

check_clean "git add and git commit them, or git stash --include-untracked"
check_branch
check_version
check_changelog
check_tag
(( problems == 0 )) || exit 1

# ---- the binary ----

if [[ -z $published ]]; then
  ./publish.sh
  published=$PWD
  # A new version also stands in packages.lock.json.
  check_clean "./publish.sh has changed them just now: git add and git commit them, and begin again"
  (( problems == 0 )) || exit 1
fi
[[ -x $published/out/megaphone ]] || fail "$published has no out/megaphone: run ./publish.sh there first, or leave out --published"
said=$("$published/out/megaphone" --version) || fail "$published/out/megaphone does not start"
[[ $said == "megaphone $version" ]] ||
  fail "$published/out/megaphone says '$said', not 'megaphone $version': publish the commit that is released"

# ---- the files ----

install_packages artifacts/apt.log binutils python3
release=out/release
name=megaphone-$version
root=$release/$name-linux-x64
package=megaphone_$version-1_amd64.deb
time=$(git log -1 --format=%ct)

rm -rf "$release"
mkdir -p "$root"
# Half a release is none.
trap 'rm -rf "$release"' EXIT
changelog_section "$version" >"$release/notes.md"
# Paths are those of the repository, so that links in the documents lead somewhere. common.sh is for the module's build.sh.
git archive HEAD CHANGELOG.md LICENSE README.md docs packaging scripts/common.sh src/ejabberd_megaphone | tar --extract --directory "$root"
install -m 755 "$published/out/megaphone" "$root/megaphone"
scripts/sbom.py "$published" linux-x64 "$version" "$(date --utc --date="@$time" +%Y-%m-%dT%H:%M:%SZ)" "$release/$name.cdx.json" "$root/licences"

tar --create --directory "$release" --sort=name --format=gnu --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime="@$time" \
  "$name-linux-x64" | gzip --no-name --best >"$root.tar.gz"
rm -rf "$root"
packaging/deb.sh --published "$published"
mv "out/$package" "$release/"
(cd "$release" && sha256sum "$name-linux-x64.tar.gz" "$package" "$name.cdx.json" >SHA256SUMS)

# ---- the tag ----

# Titles in the notes begin with the sign that Git takes for a comment's.
{ say "Megaphone $version"; say; cat "$release/notes.md"; } | git tag --annotate --cleanup=whitespace --file=- "$tag"
trap - EXIT

say "$release: $(cd "$release" && echo *)"
say "$tag: commit $(git rev-parse --short "$tag^{commit}")"
say "nothing was pushed. When all is as it should be:"
say "    git push origin $branch $tag"
say "    gh release create $tag --verify-tag --title 'Megaphone $version' --notes-file $release/notes.md \\"
say "      $release/$name-linux-x64.tar.gz $release/$package $release/$name.cdx.json $release/SHA256SUMS"
