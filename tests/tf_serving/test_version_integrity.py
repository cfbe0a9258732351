"""The manifest beside a base path: versions it lists are checked, versions it does not list are served as they are."""

import json
from pathlib import Path

import pytest
import requests

from tests.tf_serving import saved_models
from tests.tf_serving.conftest import Start

BODY = {"instances": [[1, 2]]}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The base path of an artifact with version 1 of `scale`."""
    base = tmp_path / "artifact" / "saved_model"
    saved_models.scale(base, 1, 10.0)
    saved_models.write_manifest(base, 1, max_instances=2)
    return base


def flags(base: Path) -> tuple[str, str]:
    """The flags that serve it."""
    return "--model_name=scale", f"--model_base_path={base}"


def damage(file: Path) -> None:
    """Flips one bit in the middle of a file, whose size stays."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_an_altered_version_is_not_served(start: Start, base: Path) -> None:
    """One flipped bit ends the start, at once and whatever the retries; the message names the file and the remedy."""
    file = base / "1" / "saved_model.pb"
    damage(file)
    server = start(*flags(base))
    assert server.process.wait(timeout=60) == 1
    last = server.log_text().splitlines()[-1]
    assert last.startswith("Failed to start server. Error: ")
    assert f"DATA_LOSS: {file} is not the file that {base.parent / 'manifest.json'} lists" in last
    assert "python -m models build --force" in last


def test_a_version_that_is_altered_later_is_refused_when_it_is_loaded(start: Start, base: Path) -> None:
    """The status of a hot swap to a damaged version is END with DATA_LOSS, and the old version serves on."""
    saved_models.scale(base, 2, 20.0)
    manifest = saved_models.write_manifest(base, 2)
    listed = json.loads(manifest.read_text())["files"]
    (base / "2").rename(base.parent / "2")
    server = start(*flags(base))
    server.wait("scale")
    (base.parent / "2" / "variables" / "variables.index").unlink()
    (base.parent / "2").rename(base / "2")
    server.wait("scale", 2, "END")
    (status, _) = requests.get(f"{server.url}/v1/models/scale", timeout=60).json()["model_version_status"]
    assert status["status"]["error_code"] == "DATA_LOSS"
    assert "variables.index cannot be read (No such file or directory)" in status["status"]["error_message"]
    assert "saved_model/2/variables/variables.index" in listed
    assert server.post("/v1/models/scale:predict", BODY).json() == {"predictions": [[10.0, 20.0]]}


def test_a_version_that_is_not_listed_is_served_as_it_is(start: Start, base: Path) -> None:
    """A hot swap beside the artifact needs no manifest, and the bound on instances is not its own."""
    server = start(*flags(base))
    server.wait("scale")
    three = {"instances": [[1, 2]] * 3}
    response = server.post("/v1/models/scale:predict", three)
    assert (response.status_code, response.json()) == (
        400,
        {"error": "3 instances in one request; the limit is 2"},
    )
    saved_models.scale(base.parent / "next", 2, 20.0).rename(base / "2")
    server.wait("scale", 2)
    server.wait("scale", 1, "END")
    assert server.post("/v1/models/scale:predict", three).json() == {"predictions": [[20.0, 40.0]] * 3}


@pytest.mark.parametrize(
    "manifest", ["", "[]", "null", '{"files": []}', '{"files": {"saved_model/1/saved_model.pb": "x"}}', "{"]
)
def test_a_manifest_that_is_none(start: Start, base: Path, manifest: str) -> None:
    """One that lists nothing of this version is somebody else's; one that is damaged says nothing, so nothing loads."""
    (base.parent / "manifest.json").write_text(manifest)
    server = start(*flags(base))
    if manifest in ("[]", "null", '{"files": []}'):
        server.wait("scale")
    else:
        assert server.process.wait(timeout=60) == 1
        assert "DATA_LOSS" in server.log_text()
