"""Prints, as JSON, what the Python environments of an image hold; `make_sbom.py` sends it there, over standard input.

Nothing but Python's standard library can be imported here.
"""

import json
import platform
import re
import sys
import zipfile
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

ENVIRONMENTS = ("/venv/lib", "/usr/local/lib", "/usr/lib")


def site_folders(environments: tuple[str, ...] = ENVIRONMENTS) -> list[str]:
    """List the folders that hold packages: those of this Python, and those of every environment in these places."""
    found = [str(path) for place in environments for path in sorted(Path(place).glob("python3*/*-packages"))]
    return list(dict.fromkeys([path for path in sys.path if path.endswith("-packages")] + found))


def package(installed: Distribution) -> dict[str, Any]:
    """Say what a package is, and what its own files say of what was built into it."""
    said = installed.metadata
    licence = said["License-Expression"] or (said["License"] or "").strip().partition("\n")[0]
    files = installed.files or []
    bundled = [
        part
        for file in files
        if file.parent.name == "sboms" and file.suffix == ".json"  # PEP 770
        for part in listed_by(json.loads(file.read_text(encoding="utf-8")))
    ]
    for file in files:
        if file.suffix == ".jar":
            bundled += netty_in(Path(str(file.locate())))
        if file.name == "release" and file.parent.name == "java-runtime":
            bundled += java_of(Path(str(file.locate())).read_text(encoding="utf-8"))
    return {
        "name": said["Name"],
        "version": installed.version,
        "licence": licence if len(licence) < 100 else "",
        "place": str(installed.locate_file("")),
        "bundled": bundled,
    }


def listed_by(sbom: dict[str, Any]) -> list[dict[str, str]]:
    """List the components of a CycloneDX file that a package brings."""
    return [
        {"name": one["name"], "version": str(one.get("version", "")), "purl": one.get("purl", "")}
        for one in sbom.get("components", [])
    ]


def netty_in(jar: Path) -> list[dict[str, str]]:
    """List the parts of Netty in an archive of Java classes, by the file that it keeps of its versions.

    Of the other libraries in TorchServe's archive no file tells the version.
    """
    with zipfile.ZipFile(jar) as archive:
        names = [name for name in archive.namelist() if name.endswith("io.netty.versions.properties")]
        text = "\n".join(archive.read(name).decode() for name in names)
    return [
        {"name": name, "version": version, "purl": f"pkg:maven/io.netty/{name}@{version}"}
        for name, version in sorted(set(re.findall(r"^(\S+)\.version=(\S+)$", text, re.MULTILINE)))
    ]


def java_of(release: str) -> list[dict[str, str]]:
    """Name the Java runtime whose file `release` this is."""
    found = re.search(r'^JAVA_VERSION="([^"]+)"', release, re.MULTILINE)
    return [{"name": "java-runtime", "version": found[1], "purl": ""}] if found else []


def main() -> None:
    """Print all of it."""
    packages = [package(one) for one in distributions(path=site_folders())]
    sys.stdout.write(json.dumps({"python": platform.python_version(), "packages": packages}))


if __name__ == "__main__":
    main()
