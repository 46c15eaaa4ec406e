#!/usr/bin/python3
"""Writes the bill of materials of a published binary, and the notices that its packages want passed on with it.

    sbom.py CHECKOUT RUNTIME VERSION TIME SBOM NOTICES

CHECKOUT is the folder in which ./publish.sh made the binary for RUNTIME, linux-x64 or linux-arm64, and TIME the release's, as in
2026-01-31T12:00:00Z. SBOM is the file to write, CycloneDX 1.6 as JSON; NOTICES a folder to make, with the licence and the third-party
notices of each package in the binary.

What is in the binary is read from what made it, not from a list that somebody keeps: from the compiler's response file, which names
each assembly that it read, and from packages.lock.json. What the binary loads is a short list here, which is compared with its ELF headers.

The CycloneDX tool for .NET would be less to maintain, but it lists the packages that a project refers to. Of this project these
are the compiler and a build task, which are not in the binary, while the runtime packs that the SDK chooses, which are nearly all of it,
are no references. Its document of this project has none of the components that this one requires.
"""

import base64
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import uuid
import xml.etree.ElementTree as ElementTree

RUNTIMES = {
    "linux-x64": {
        "build": "artifacts/obj/Megaphone",
        "lock": "packages.lock.json",
        "binary": "out/megaphone",
        "loader": "ld-linux-x86-64.so.2",
    },
    "linux-arm64": {
        "build": "artifacts/linux-arm64/obj/Megaphone",
        "lock": "packages.linux-arm64.lock.json",
        "binary": "out/linux-arm64/megaphone",
        "loader": "ld-linux-aarch64.so.1",
    },
}

# The loader is listed with glibc, of which it is a part.
SYSTEM_LIBRARIES = [
    {
        "name": "glibc",
        "files": ["libc.so.6", "libm.so.6"],
        "license": "LGPL-2.1-or-later",
        "scope": "required",
        "when": "when the binary starts",
    },
    {
        "name": "openssl",
        "files": ["libssl.so.3", "libcrypto.so.3"],
        "version": "3",
        "license": "Apache-2.0",
        "scope": "optional",
        "when": "only if TLS is configured",
    },
]


def fail(message):
    sys.exit(f"sbom.py: {message}")


def read_json(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        fail(f"there is no {path}; ./publish.sh makes it")


def find_project(checkout, runtime):
    """The folders of NuGet's packages, and those packages from which the compiler read assemblies, as (name in lower case, version)."""
    build = checkout / RUNTIMES[runtime]["build"]
    folders = [folder.rstrip("/") for folder in read_json(build / "project.assets.json")["packageFolders"]]
    response_file = build / f"release_{runtime}/native/megaphone.ilc.rsp"
    if not response_file.exists():
        fail(f"there is no {response_file}, which names the assemblies in the binary; ./publish.sh makes it")
    compiled = set()
    for line in response_file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("-r:"):
            continue
        assembly = line[len("-r:"):]
        folder = next((folder for folder in folders if assembly.startswith(folder + "/")), None)
        if folder:
            name, version = assembly[len(folder) + 1:].split("/")[:2]
            compiled.add((name, version))
        elif "/artifacts/" not in assembly:
            fail(f"{response_file}: {assembly} is neither the project's own nor in a NuGet package (in {', '.join(folders)}), "
                 "so that its version and licence are unknown; use an SDK that takes the runtime packs from NuGet")
    return folders, compiled


def find_locked(checkout, runtime):
    """The packages that the executable's lock file names, and their content hashes, by (name in lower case, version)."""
    lock = read_json(checkout / "src/Megaphone" / RUNTIMES[runtime]["lock"])
    return {
        (name.lower(), package["resolved"]): package["contentHash"]
        for framework in lock["dependencies"].values()
        for name, package in framework.items()
        if package["type"] != "Project"
    }


class Package:
    """A package in the local NuGet folder."""

    def __init__(self, folders, name, version):
        candidates = [pathlib.Path(folder, name, version) for folder in folders]
        self.folder = next((folder for folder in candidates if folder.exists()), None)
        if not self.folder:
            fail(f"{name} {version} is not in {', '.join(folders)}; ./publish.sh fetches it")
        # Elements are named without their namespace, of which nuspec files have several.
        nuspec = ElementTree.parse(self.folder / f"{name}.nuspec").getroot()
        self.metadata = {element.tag.partition("}")[2]: element for element in nuspec.iter()}
        self.name = self.metadata["id"].text
        self.version = version
        self.content_hash = read_json(self.folder / ".nupkg.metadata")["contentHash"]

    def license(self):
        element = self.metadata.get("license")
        if element is None or element.get("type") != "expression":
            fail(f"the licence of {self.name} {self.version} is unknown: {self.folder}/*.nuspec should have an SPDX expression, "
                 'such as <license type="expression">MIT</license>. Read what the package says about its licence, and use another '
                 "package or teach scripts/sbom.py this one's")
        return element.text

    def component(self, in_binary):
        purl = f"pkg:nuget/{self.name}@{self.version}"
        # NuGet's content hash leaves out the signature. This is the hash of the file that one downloads.
        file_hash = next(self.folder.glob("*.nupkg.sha512")).read_text(encoding="ascii").strip()
        component = {
            "type": "library",
            "bom-ref": purl,
            "name": self.name,
            "version": self.version,
            "description": "Compiled into the binary." if in_binary else "Used to build the binary, and not in it.",
            "scope": "required" if in_binary else "excluded",
            "hashes": [{"alg": "SHA-512", "content": base64.b64decode(file_hash).hex()}],
            "licenses": [{"expression": self.license()}],
            "purl": purl,
        }
        repository = self.metadata.get("repository")
        if repository is not None:
            component["externalReferences"] = [
                {"type": "vcs", "url": repository.get("url"), "comment": f"commit {repository.get('commit')}"}]
        return component

    def copy_notices(self, notices):
        """Copies the files that the licence wants passed on."""
        found = [file for file in sorted(self.folder.iterdir()) if re.match(r"(licen[cs]e|third-party-notices)\b", file.name, re.I)]
        if not any(file.name.lower().startswith("licen") for file in found):
            fail(f"{self.name} {self.version} is compiled into the binary, but {self.folder} has no licence to pass on with it")
        folder = notices / self.name
        folder.mkdir(parents=True)
        for file in found:
            shutil.copyfile(file, folder / file.name)


def find_packages(checkout, runtime, notices):
    """The components of all packages. Fails if one is not what the lock file says, or has no known licence."""
    folders, compiled = find_project(checkout, runtime)
    locked = find_locked(checkout, runtime)
    components = []
    for name, version in sorted(compiled | locked.keys()):
        package = Package(folders, name, version)
        wanted = locked.get((name, version), package.content_hash)
        if package.content_hash != wanted:
            fail(f"{package.folder} has the content hash {package.content_hash}, but {RUNTIMES[runtime]['lock']} wants {wanted}; "
                 "delete that folder, and publish again")
        in_binary = (name, version) in compiled
        components.append(package.component(in_binary))
        if in_binary:
            package.copy_notices(notices)
    return components


def find_system_libraries(binary, loader):
    """The components of the libraries that the binary loads from the system. Fails if it needs one that is not listed here."""
    headers = subprocess.run(["readelf", "--wide", "--dynamic", "--version-info", binary],
                             env={**os.environ, "LC_ALL": "C"}, stdout=subprocess.PIPE, text=True, check=True).stdout
    content = binary.read_bytes()
    libraries = [library | {"files": [*library["files"], loader]} if library["name"] == "glibc" else library for library in SYSTEM_LIBRARIES]
    listed = [file for library in libraries for file in library["files"]]
    for needed in re.findall(r"\(NEEDED\).*\[(.*)\]", headers):
        if needed not in listed:
            fail(f"{binary} is linked to {needed}, which SYSTEM_LIBRARIES in scripts/sbom.py does not list; add it there with its licence")
    for file in listed:
        if file.encode() not in content:
            fail(f"{binary} does not load {file}, which SYSTEM_LIBRARIES in scripts/sbom.py lists; remove it there")

    versions = [tuple(map(int, version.split("."))) for version in re.findall(r"GLIBC_([\d.]+)", headers)]
    components = []
    for library in libraries:
        version = library.get("version") or ".".join(map(str, max(versions)))
        purl = f"pkg:generic/{library['name']}@{version}"
        components.append({
            "type": "library",
            "bom-ref": purl,
            "name": library["name"],
            "version": version,
            "description": f"Not part of the release: {', '.join(library['files'])} are loaded from the system, {library['when']}. "
                           "The version is the oldest that will do.",
            "scope": library["scope"],
            "licenses": [{"license": {"id": library["license"]}}],
            "purl": purl,
        })
    return components


def main():
    if len(sys.argv) != 7 or sys.argv[2] not in RUNTIMES:
        fail(f"expected 6 arguments: sbom.py CHECKOUT RUNTIME VERSION TIME SBOM NOTICES, with a RUNTIME of {' and '.join(RUNTIMES)}")
    checkout, runtime, version, time, sbom, notices = pathlib.Path(sys.argv[1]), *sys.argv[2:5], *map(pathlib.Path, sys.argv[5:])
    purl = f"pkg:generic/megaphone@{version}"
    binary = checkout / RUNTIMES[runtime]["binary"]
    components = find_packages(checkout, runtime, notices) + find_system_libraries(binary, RUNTIMES[runtime]["loader"])
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        # The same for the same release, so that two runs make the same file.
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, f"{purl}#{time}").urn,
        "version": 1,
        "metadata": {
            "timestamp": time,
            "component": {
                "type": "application",
                "bom-ref": purl,
                "name": "megaphone",
                "version": version,
                "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(binary.read_bytes()).hexdigest()}],
                "licenses": [{"license": {"id": "MIT"}}],
                "purl": purl,
            },
        },
        "components": components,
        "dependencies": [
            {"ref": purl, "dependsOn": [component["bom-ref"] for component in components if component["scope"] != "excluded"]},
            *({"ref": component["bom-ref"]} for component in components),
        ],
    }
    sbom.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


main()
