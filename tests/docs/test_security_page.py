"""SECURITY.md: the tests that it names exist, and its numbers are those of the code."""

import re
from importlib.metadata import distribution

import pytest

from flask_server.bearer_token import SHORTEST
from flask_server.rsgi import MOST_ROOM
from loadtest.servers.artifact import ROOT, Artifact
from scripts.audit_dependencies import ACCEPTED, OLD_DAYS, read_accepted
from scripts.installed_inside import package
from tf_serving.embedded.http_app import BODY_SECONDS
from tf_serving.embedded.memory import MAX_BODIES, MAX_BODY, MIB

PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
HELD_BY = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def row(title: str) -> list[str]:
    """The cells of the line of a table that begins with a title."""
    (line,) = re.findall(rf"^\| {re.escape(title)} \|(.*)\|$", PAGE, re.MULTILINE)
    return [cell.strip() for cell in line.split("|")]


@pytest.mark.parametrize(("file", "test"), HELD_BY, ids=[test for _, test in HELD_BY])
def test_what_holds_a_promise_is_there(file: str, test: str) -> None:
    """Every test that is named stands in the file that is named."""
    assert re.search(rf"^def {test}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)


def test_promises_name_tests() -> None:
    """Every line of the table of promises names one."""
    promises = PAGE.partition("## What is promised")[2].partition("\n## ")[0]
    lines = [line for line in promises.splitlines() if line.startswith("| ")][1:]
    assert len(lines) > 8
    assert all("`tests/" in line for line in lines)


def test_limits_are_those_of_the_code(artifact: Artifact) -> None:
    """Sizes, times and numbers of instances."""
    flask, torchserve, embedded, _ = row("largest body")
    largest = int(artifact.manifest["max_request_bytes"]) // MIB
    assert flask.startswith(f"{largest} MiB ")
    assert torchserve.startswith(f"{largest} MiB ")
    assert embedded.startswith(f"{MAX_BODY // MIB} MiB ")
    flask, _, embedded, _ = row("all bodies together")
    assert flask.startswith(f"{MOST_ROOM // MIB} MiB ")
    assert embedded.startswith(f"{MAX_BODIES // MIB} MiB")
    flask, _, embedded, _ = row("until a body is there")
    assert f"BODY_TIMEOUT={flask.split()[0]}," in (ROOT / "flask_server" / "app.py").read_text(encoding="utf-8")
    assert embedded.startswith(f"{BODY_SECONDS} s ")
    assert all(cell.startswith(f"{artifact.max_instances:,} ") for cell in row("instances in a request")[:3])
    assert f"a token of {SHORTEST} characters or more" in PAGE
    assert f"warns when that is {OLD_DAYS} days old" in PAGE


def test_what_is_known_is_listed() -> None:
    """Netty in the version that TorchServe brings, and every advisory that the audit accepts."""
    bundled = {part["name"]: part["version"] for part in package(distribution("torchserve"))["bundled"]}
    assert f"brings Netty {bundled['netty-codec-http'].removesuffix('.Final')} " in PAGE
    assert [name for name in read_accepted(ACCEPTED) if name not in PAGE] == []
