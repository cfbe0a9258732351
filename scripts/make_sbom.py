"""Writes a software bill of materials for each image: what is really installed there, as CycloneDX 1.6 in JSON.

    scripts/sbom all --out sboms/                  every image of compose.yaml; build them first
    scripts/sbom flask_server my/image:1 --out .

Asked is the image itself, in a container without a network: dpkg for Debian's packages, and each Python environment for
its own. Packages of Python may bring a list of what was compiled into them (PEP 770); that goes in below them.

CycloneDX: https://cyclonedx.org/docs/1.6/json/; names of packages: https://github.com/package-url/purl-spec.
"""

import argparse
import datetime
import json
import subprocess
import sys
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[1]
COLLECTOR = Path(__file__).parent / "installed_inside.py"
DPKG_FORMAT = r"${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\n"
NO_SUCH_PROGRAM = (126, 127)
"""How `docker run` ends where the image lacks the program."""

Component = dict[str, Any]


class SbomError(Exception):
    """No list can be made; the message says what to do about it."""


def docker(*words: str, send: str = "") -> "subprocess.CompletedProcess[str]":
    """Run a docker command to its end.

    Raises:
        SbomError: There is no Docker.
    """
    try:
        return subprocess.run(
            ["docker", *words], cwd=ROOT, input=send, capture_output=True, text=True, errors="replace", check=False
        )
    except FileNotFoundError:
        raise SbomError("docker is not on PATH: install Docker Engine") from None


def inside(image: str, *command: str, send: str = "") -> str | None:
    """Return what a program of an image prints; None where the image does not have it.

    Raises:
        SbomError: It failed.
    """
    program, *arguments = command
    limits = ("--rm", "--interactive", "--network=none", "--read-only", "--cap-drop=ALL")
    done = docker("run", *limits, f"--entrypoint={program}", image, *arguments, send=send)
    if done.returncode in NO_SUCH_PROGRAM:
        return None
    if done.returncode:
        raise SbomError(f"{program} failed in {image}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return done.stdout


def images_of(wanted: Sequence[str]) -> dict[str, str]:
    """Return the images by the names of their files: services of compose.yaml, all of them, or any image.

    Raises:
        SbomError: The compose files cannot be read.
    """
    done = docker("compose", "--profile", "*", "config", "--format=json")
    if done.returncode:
        raise SbomError(f"docker compose config failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    config = json.loads(done.stdout)
    services = {
        name: service.get("image", f"{config['name']}-{name}") for name, service in sorted(config["services"].items())
    }
    if "all" in wanted:
        return services
    return {name.replace("/", "_").replace(":", "_"): services.get(name, name) for name in wanted}


def debian_components(listed: str, os_release: str) -> list[Component]:
    """Make components of what dpkg lists.

    Args:
        listed: Lines in `DPKG_FORMAT`.
        os_release: The image's /etc/os-release.
    """
    about = dict(line.replace('"', "").split("=", 1) for line in os_release.splitlines() if "=" in line)
    system, release = about.get("ID", "debian"), f"{about.get('ID', 'debian')}-{about.get('VERSION_ID', '')}"
    rows = [line.split("\t") for line in listed.splitlines()]
    return [
        component(name, version, f"pkg:deb/{system}/{name}@{quote(version)}?arch={architecture}&distro={release}")
        for status, name, version, architecture in rows
        if status == "installed"
    ]


def python_components(found: Mapping[str, Any]) -> list[Component]:
    """Make components of what `installed_inside.py` prints, with what was compiled into a package below it."""
    made = [component("python", found["python"], f"pkg:generic/python@{found['python']}", kind="platform")]
    for one in found["packages"]:
        name = one["name"].lower().replace("_", "-")  # of pkg:pypi in the specification of package URLs
        this = component(one["name"], one["version"], f"pkg:pypi/{name}@{quote(one['version'])}", place=one["place"])
        if one["licence"]:
            this["licenses"] = [{"license": {"name": one["licence"]}}]
        parts = [component(part["name"], part["version"], part["purl"], this["bom-ref"]) for part in one["bundled"]]
        if parts:
            this["components"] = distinct(parts)
        made.append(this)
    return made


def component(name: str, version: str, purl: str, above: str = "", place: str = "", kind: str = "library") -> Component:
    """Make one component; its `bom-ref` is its name in the whole document."""
    reference = f"{above}|{purl or f'{name}@{version}'}|{place}".strip("|")
    made: Component = {"type": kind, "name": name, "bom-ref": reference}
    if version:
        made["version"] = version
    if purl:
        made["purl"] = purl
    if place:
        made["properties"] = [{"name": "serving-bakeoff:place", "value": place}]
    return made


def distinct(components: Iterable[Component]) -> list[Component]:
    """Leave out what is there twice, and sort."""
    return sorted({one["bom-ref"]: one for one in components}.values(), key=lambda one: str(one["bom-ref"]))


def document(image: str, digest: str, components: Iterable[Component], when: datetime.datetime) -> dict[str, Any]:
    """Make the whole document.

    Args:
        image: Name of the image.
        digest: Its id, `sha256:…`.
        components: What is in it.
        when: The time of this look.
    """
    subject: Component = {"type": "container", "name": image, "version": digest, "bom-ref": digest}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{image}@{digest}')}",
        "version": 1,
        "metadata": {
            "timestamp": when.astimezone(datetime.UTC).isoformat(timespec="seconds"),
            "tools": {"components": [{"type": "application", "name": "serving-bakeoff scripts/sbom"}]},
            "component": subject,
        },
        "components": distinct(components),
        # Libraries that were compiled into a package are known only where the package tells of them.
        "compositions": [{"aggregate": "incomplete", "assemblies": [digest]}],
    }


def sbom_of(image: str) -> dict[str, Any]:
    """Look into an image.

    Raises:
        SbomError: It is not on this machine, or there is neither dpkg nor Python in it.
    """
    asked = docker("image", "inspect", "--format={{.Id}}", image)
    if asked.returncode:
        raise SbomError(f"there is no image {image} here: docker compose --profile loadtest build, or docker pull")
    listed = inside(image, "dpkg-query", "-W", f"-f={DPKG_FORMAT}")
    found = inside(image, "python", "-I", "-", send=COLLECTOR.read_text(encoding="utf-8"))
    if listed is None and found is None:
        raise SbomError(f"{image} has neither dpkg nor Python to ask")
    components = debian_components(listed, inside(image, "cat", "/etc/os-release") or "") if listed else []
    components += python_components(json.loads(found)) if found else []
    return document(image, asked.stdout.strip(), components, datetime.datetime.now(datetime.UTC))


def main(words: Sequence[str] | None = None) -> int:
    """Write one file for each image."""
    parser = argparse.ArgumentParser(prog="scripts/sbom", description="Writes what is in images as CycloneDX files.")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="an image, a service of compose.yaml, or all")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    arguments = parser.parse_args(words)
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        for name, image in images_of(arguments.images).items():
            made = sbom_of(image)
            file = arguments.out / f"{name}.cdx.json"
            file.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
            sys.stdout.write(f"{file}: {len(made['components'])} components of {image}\n")
    except (SbomError, OSError) as error:
        sys.stderr.write(f"sbom: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
