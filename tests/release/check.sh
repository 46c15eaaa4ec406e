#!/usr/bin/env bash
# Checks scripts/release.sh with the binary that ./publish.sh has made here, in a repository of its own that has this one's files, changes
# included, and a version that is ready for its release. Checks also that the workflow runs what the tests here run.
#
# Prints "ok" and "not ok" lines; the last line is "N passed, N failed".
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/common.sh
. tests/checks.sh

published=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

[[ -x out/megaphone ]] || fail "there is no out/megaphone: run ./publish.sh first"
install_packages artifacts/apt.log binutils git jq python3
command -v node >/dev/null && command -v npm >/dev/null || install_packages artifacts/apt.log nodejs npm
step "fetching the schema of CycloneDX" artifacts/npm-release.log \
  npm ci --prefix tests/release --omit=optional --no-audit --no-fund --ignore-scripts

# ---- the repository ----

version=$(out/megaphone --version)
version=${version#megaphone }
repository=$work/repository
git clone --quiet --no-tags . "$repository" 2>"$work/clone.log" || { cat "$work/clone.log"; exit 1; }
git diff --binary HEAD | git -C "$repository" apply --allow-empty

cd "$repository"
git switch --quiet --force-create main
git config user.name "A maintainer"
git config user.email maintainer@example.org
git config commit.gpgSign false
git config tag.gpgSign false

# write_changelog UNRELEASED SECTION: a changelog with these texts under "Unreleased" and under the version.
write_changelog() { printf '# Changelog\n\n## Unreleased\n\n%s\n## %s\n\n%s\n\n## 0.0.1\n\nThe first.\n' "$1" "$version" "$2" >CHANGELOG.md; }
set_version() { sed -i "s:<VersionPrefix>.*</VersionPrefix>:<VersionPrefix>$1</VersionPrefix>:" Directory.Build.props; }
# The commit has a time long past, so that files made now differ from those that are as old as the commit.
commit() { git add --all && GIT_COMMITTER_DATE=2026-01-31T12:00:00Z git commit --quiet --message="$1"; }

notes=$'- **Hub**: what operators notice.\n\n### A title\n\nMore of it.'
write_changelog "" "$notes"
commit "release: prepare $version"
ready=$(git rev-parse HEAD)

untag() { git tag --list | xargs --no-run-if-empty git tag --delete >/dev/null; }
# restore: the repository is ready for the release again.
restore() {
  git switch --quiet --force main
  git reset --quiet --hard "$ready"
  git clean --quiet -fdx
  untag
}

release() { scripts/release.sh "$@" --published "$published"; }

# refuses STATUS TEXT ARGUMENT…: whether the script ends with that status, prints each line of TEXT, and makes neither files nor a tag.
refuses() {
  local status=0 line tags
  tags=$(git tag)
  scripts/release.sh "${@:3}" >"$work/release.log" 2>&1 || status=$?
  cat "$work/release.log"
  (( status == $1 )) && [[ $(git tag) == "$tags" && ! -e out/release ]] || return 1
  while read -r line; do
    grep -qF -- "$line" "$work/release.log" || { say "it does not print: $line"; return 1; }
  done <<<"$2"
}

# ---- refusals ----

check "--help prints what the script does" grep -qF "megaphone-VERSION.cdx.json" <(scripts/release.sh --help)
check "a call without a version is refused" refuses 2 "expected a version such as 1.2.3, not ''"
check "a version with a letter is refused" refuses 2 "expected a version such as 1.2.3, not 'v$version'" "v$version"
check "two versions are refused" refuses 2 "one version is expected, not $version and 9.9.9" "$version" 9.9.9
check "an unknown option is refused" refuses 2 "unknown option --force" "$version" --force
check "an option without its value is refused" refuses 2 "--branch: expected a name, for example main" "$version" --branch

say "changed" >>README.md
check "a changed file is refused" refuses 1 "M README.md
git add and git commit them" "$version"
restore
touch src/new.cs
check "an untracked file is refused" refuses 1 "?? src/new.cs" "$version"
restore

git switch --quiet --create other
check "another branch is refused" refuses 1 \
  "releases are made on main, and this is other: git switch main, or say --branch other" "$version"
git switch --quiet --detach
check "no branch is refused" refuses 1 "releases are made on main, and this is no branch" "$version"
restore

check "a version that is not the project's is refused" refuses 1 \
  "Directory.Build.props has the version $version: set <VersionPrefix>9.9.9</VersionPrefix>, or release $version" 9.9.9
check "a version without a section in the changelog is refused" refuses 1 "it should have the title '## 9.9.9'" 9.9.9

write_changelog "" ""
commit "changelog: say nothing"
check "an empty section in the changelog is refused" refuses 1 \
  "CHANGELOG.md says nothing under '## $version': list there what users notice" "$version"
restore
write_changelog $'- **ECM**: left behind.\n' "$notes"
commit "changelog: leave something behind"
check "changes that are left under Unreleased are refused" refuses 1 \
  "CHANGELOG.md still has changes under '## Unreleased': move them to '## $version'" "$version"
restore

git tag "v$version"
check "a version whose tag exists is refused" refuses 1 "the tag v$version exists, of commit $(git rev-parse --short HEAD)" "$version"
touch new
check "all problems are reported at once" refuses 1 "?? new
and this is main
Directory.Build.props has the version $version
CHANGELOG.md has no section for this version" 9.9.9 --branch other
restore

check "a folder without a binary is refused" refuses 1 "$work has no out/megaphone: run ./publish.sh there first, or leave out --published" \
  "$version" --published "$work"
set_version 9.9.9
version=9.9.9 write_changelog "" "$notes"
commit "release: prepare 9.9.9"
check "a binary of another version is refused" refuses 1 "says 'megaphone $version', not 'megaphone 9.9.9'" 9.9.9 --published "$published"
restore

# ---- what the bill of materials refuses ----

# copy_published: makes $work/copy, which has what scripts/sbom.py reads of $published and of the NuGet packages, so that it can be changed.
copy_published() {
  local build=artifacts/obj/Megaphone response_file=release_linux-x64/native/megaphone.ilc.rsp folder package
  copy=$work/copy
  rm -rf "$copy"
  mkdir -p "$copy/$build/${response_file%/*}" "$copy/src/Megaphone" "$copy/out"
  cp "$published/src/Megaphone/packages.lock.json" "$copy/src/Megaphone/"
  ln -s "$published/out/megaphone" "$copy/out/megaphone"
  folder=$(jq --raw-output '.packageFolders | keys[0] | rtrimstr("/")' "$published/$build/project.assets.json")
  jq --null-input '{ packageFolders: { ($folder): {} } }' --arg folder "$copy/packages" >"$copy/$build/project.assets.json"
  sed "s:^-r\:$folder/:-r\:$copy/packages/:" "$published/$build/$response_file" >"$copy/$build/$response_file"
  for package in $(packages_of "$work/sbom.json"); do
    mkdir -p "$copy/packages/${package,,}"
    find "$folder/${package,,}" -maxdepth 1 -type f ! -name '*.nupkg' -exec cp -t "$copy/packages/${package,,}" {} +
  done
}

# packages_of SBOM: the NuGet packages in it, one NAME/VERSION a line, sorted.
packages_of() { jq --raw-output '.components[] | select(.purl | startswith("pkg:nuget/")) | "\(.name)/\(.version)"' "$1" | sort; }

make_sbom() { rm -rf "$work/notices" && scripts/sbom.py "$1" linux-x64 "$version" 2026-01-31T12:00:00Z "$2" "$work/notices"; }

# sbom_refuses TEXT: whether no bill of materials is made of the copy, for that reason.
sbom_refuses() {
  rm -f "$work/refused.json"
  ! make_sbom "$copy" "$work/refused.json" >"$work/sbom.log" 2>&1 || return 1
  cat "$work/sbom.log"
  grep -qF -- "$1" "$work/sbom.log" && [[ ! -e $work/refused.json ]]
}

check "a bill of materials is made" make_sbom "$published" "$work/sbom.json"
copy_published
check "and the same of a copy" make_sbom "$copy" "$work/copy.json"
check "which is no different" cmp "$work/sbom.json" "$work/copy.json"

runtime=$(echo "$copy"/packages/microsoft.netcore.app.runtime.nativeaot.linux-x64/*)
sed -i '/<license /d' "$runtime"/*.nuspec
check "a package without a licence expression is refused" sbom_refuses \
  "the licence of Microsoft.NETCore.App.Runtime.NativeAOT.linux-x64 ${runtime##*/} is unknown"
copy_published
rm "$runtime/LICENSE.TXT"
check "a package in the binary without a licence to pass on is refused" sbom_refuses "has no licence to pass on with it"
copy_published
sed -i '/"contentHash"/s/: ".*"/: "AAAA"/' "$copy/src/Megaphone/packages.lock.json"
check "a package that is not the one in the lock file is refused" sbom_refuses "but packages.lock.json wants AAAA"
copy_published
say "-r:/usr/share/dotnet/packs/Some.dll" >>"$copy/artifacts/obj/Megaphone/release_linux-x64/native/megaphone.ilc.rsp"
check "an assembly that is in no package is refused" sbom_refuses \
  "/usr/share/dotnet/packs/Some.dll is neither the project's own nor in a NuGet package"
copy_published
ln -sf /usr/bin/readelf "$copy/out/megaphone"
check "a binary that is linked to an unknown library is refused" sbom_refuses "which SYSTEM_LIBRARIES in scripts/sbom.py does not list"

# ---- the release ----

files=$repository/out/release
name=megaphone-$version
archive=$files/$name-linux-x64.tar.gz
package=$files/megaphone_$version-1_amd64.deb
sbom=$files/$name.cdx.json
root=$work/$name-linux-x64

# has_exactly FOLDER NAME…
has_exactly() { diff <(printf '%s\n' "${@:2}" | sort) <(ls "$1"); }
has_checksums() { (cd "$files" && sha256sum --check --strict SHA256SUMS && (( $(wc -l <SHA256SUMS) == 3 ))); }
# The fields of tar's verbose listing are mode, owner, size, date, time, and name.
is_normalized() {
  local time
  time=$(date --date="@$(git log -1 --format=%ct)" '+%Y-%m-%d %H:%M')
  tar --list --verbose --gunzip --file="$archive" | awk -v time="$time" '$2 != "0/0" || $4 " " $5 != time { print; wrong = 1 } END { exit wrong }' &&
    tar --list --gunzip --file="$archive" | LC_ALL=C sort --check
}
has_this_binary() { cmp "$root/megaphone" "$published/out/megaphone" && [[ $("$root/megaphone" --version) == "megaphone $version" ]]; }
# has_committed PATH…: whether these are in the archive as they are in the commit.
has_committed() { local path; for path; do diff --recursive "$path" "$root/$path" || return 1; done; }
in_package() { dpkg-deb --fsys-tarfile "$package" | tar --extract --to-stdout "./$1"; }
has_packaged() {
  cmp packaging/megaphone.json <(in_package etc/megaphone/megaphone.json) &&
    cmp docs/operating.md <(in_package usr/share/doc/megaphone/operating.md)
}
module_compiles() {
  "$root/src/ejabberd_megaphone/build.sh" "$work/modules" && [[ -s $work/modules/ejabberd_megaphone/ebin/ejabberd_megaphone.beam ]]
}
tag_has_notes() {
  [[ $(git cat-file -t "v$version") == tag && $(git rev-parse "v$version^{commit}") == "$ready" ]] &&
    diff <(printf 'Megaphone %s\n\n%s\n' "$version" "$notes") <(git for-each-ref --format='%(contents)' "refs/tags/v$version" | sed '${/^$/d}')
}
# in_binary: the names of the components that are compiled into the binary.
in_binary() { jq --raw-output '.components[] | select((.purl | startswith("pkg:nuget/")) and .scope == "required").name' "$sbom" | sort; }
runtime_packs=(Microsoft.AspNetCore.App.Runtime.linux-x64 Microsoft.NETCore.App.Runtime.NativeAOT.linux-x64)
locked() {
  jq --raw-output '.dependencies[] | to_entries[] | select(.value.type != "Project") | "\(.key)/\(.value.resolved)"' \
    "$repository"/src/Megaphone*/packages.lock.json
}
# The runtime packs' versions are those of the SDK, which NuGet was asked for.
downloaded() {
  jq --raw-output '.project.frameworks[].downloadDependencies[] | select(.name | IN($ARGS.positional[])) |
    "\(.name)/\(.version | ltrimstr("[") | split(",")[0])"' "$published/artifacts/obj/Megaphone/project.assets.json" --args "${runtime_packs[@]}"
}
lists_the_packages() { diff <({ locked; downloaded; } | sort --unique) <(packages_of "$sbom"); }
# Each component has what a reader of the document looks for; a library of the system has no hash.
describes_each_component() {
  jq --exit-status '[.components[] | .version != "" and (.licenses | length) == 1 and .purl == .["bom-ref"] and
    (.scope == "required" or .scope == "optional" or .scope == "excluded") and
    (((.hashes // []) | length) == 1) == (.purl | startswith("pkg:nuget/"))] | all' "$sbom"
}
names_the_system() {
  diff <(printf '%s\n' "glibc required LGPL-2.1-or-later" "openssl optional Apache-2.0") \
    <(jq --raw-output '.components[] | select(.purl | startswith("pkg:generic/")) | "\(.name) \(.scope) \(.licenses[0].license.id)"' "$sbom" | sort)
}
has_hash_of_binary() {
  [[ $(jq --raw-output '.metadata.component.hashes[0].content' "$sbom")"  -" == "$(sha256sum <"$published/out/megaphone")" ]]
}

check "a version that is ready is released" release "$version"
check "it makes an archive, a package, a bill of materials, checksums, and notes" has_exactly "$files" \
  "$name-linux-x64.tar.gz" "${package##*/}" "$name.cdx.json" SHA256SUMS notes.md
check "the checksums are those of the archive, the package and the bill of materials" has_checksums
check "the notes are the changelog's section" diff "$files/notes.md" <(say "$notes")
check "the tag is of this commit, annotated with the notes" tag_has_notes
check "nothing is left changed" test -z "$(git status --porcelain)"

check "the archive is unpacked" tar --extract --gunzip --directory "$work" --file "$archive"
check "it has what an operator needs" has_exactly "$root" CHANGELOG.md LICENSE README.md docs licences megaphone packaging scripts src
check "it has the binary that was published" has_this_binary
check "its other files are those of the commit" has_committed CHANGELOG.md LICENSE README.md docs packaging scripts/common.sh src/ejabberd_megaphone
check "the module in it compiles" module_compiles
check "it has the licences of what is in the binary" has_exactly "$root/licences" $(in_binary)
check "its entries are sorted, of root, and as old as the commit" is_normalized

check "the package is of this version" test "$(dpkg-deb --field "$package" Package Version | tr '\n' ' ')" = "Package: megaphone Version: $version-1 "
check "it has the same binary" cmp <(in_package usr/bin/megaphone) "$published/out/megaphone"
check "and the commit's configuration and manual" has_packaged
check "the bill of materials is valid CycloneDX" node "$published/tests/release/valid.mjs" "$sbom"
check "it has the binary's hash" has_hash_of_binary
check "it lists the packages of the lock files and the runtime packs, and no others" lists_the_packages
check "it says that only the runtime packs are in the binary" diff <(in_binary) <(printf '%s\n' "${runtime_packs[@]}")
check "each component has a version, a licence, a package URL, a scope, and a package its hash" describes_each_component
check "it says which libraries of the system are loaded" names_the_system

cp "$files/SHA256SUMS" "$work/first"
restore
git switch --quiet --create support
check "another branch can be named" release "$version" --branch support
untag
release_with_umask() ( umask "$1" && release "${@:2}" )
check "a second run, by somebody with another umask, makes the same files" release_with_umask 077 "$version" --branch support
check "byte by byte" cmp "$work/first" "$files/SHA256SUMS"
restore

# ---- the release that is published by the script, with a publish.sh that copies what was compiled ----

cat >publish.sh <<SCRIPT
#!/usr/bin/env bash
set -euo pipefail
rm -rf out artifacts
mkdir out artifacts
cp "$published/out/megaphone" out/
ln -s "$published/artifacts/obj" artifacts/obj
[[ ! -e changed-by-publishing ]] || cp /dev/null changed-by-publishing
SCRIPT
commit "publish: copy what was compiled"
check "without --published the binary is published" scripts/release.sh "$version"
check "and released" has_checksums
untag
say "no longer true" >changed-by-publishing
commit "publish: change a file"
check "a file that publishing changes is refused" refuses 1 "M changed-by-publishing
./publish.sh has changed them just now: git add and git commit them, and begin again" "$version"
restore

# ---- the workflow ----

workflow=.github/workflows/ci.yml
uses_the_same_system() { [[ $(sed -n 's/^ *image: //p' "$workflow") == "$(sed -nE 's/^FROM (debian:[0-9]+).*/\1/p' Containerfile)" ]]; }
pins_its_actions() { grep -q 'uses:' "$workflow" && ! grep 'uses:' "$workflow" | grep -vE '@v[0-9]+\.[0-9]+\.[0-9]+$'; }

check "the workflow runs .ci/run" grep -qE '^ *(- )?run: \.ci/run$' "$workflow"
check "its SDK is the one in global.json" grep -qE '^ *global-json-file: global\.json$' "$workflow"
check "its system is the one from which the image's libraries are taken" uses_the_same_system
check "its actions are pinned by version" pins_its_actions

end_checks
