"""The bills of materials of the images that run."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from loadtest.launch.compose import ComposeLauncher
from loadtest.servers.server_toml import load_servers
from tests.stack.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.slow]


def sbom(stack: Stack, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run the program as `scripts/sbom` does."""
    command = [sys.executable, "scripts/make_sbom.py", *words]
    return subprocess.run(
        command, cwd=stack.root, env=stack.environment, capture_output=True, text=True, check=False, timeout=300
    )


def test_it_lists_what_the_container_has(stack: Stack, launcher: ComposeLauncher, tmp_path: Path) -> None:
    """It keeps the schema, names the image by its id, and has the packages that the container itself reports."""
    service = "torchserve"  # the image with the most kinds of parts
    done = sbom(stack, service, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    text = (tmp_path / f"{service}.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    made: dict[str, Any] = json.loads(text)
    reported = launcher.start(load_servers()[service]).describe()
    assert made["metadata"]["component"]["version"] == reported["container"]["image_id"]
    listed = {(one["name"].lower(), one["version"]) for one in made["components"]}
    assert {(name.lower(), version) for name, version in reported["packages"].items()} <= listed
    assert any(one["purl"].startswith("pkg:deb/debian/libc6@") for one in made["components"])


def test_an_image_that_is_not_here_is_named(stack: Stack, tmp_path: Path) -> None:
    """With one line that says what to do."""
    done = sbom(stack, "nothing/here:1", "--out", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == (
        "sbom: there is no image nothing/here:1 here: docker compose --profile loadtest build, or docker pull\n"
    )
