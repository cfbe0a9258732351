"""Copies to try things out on."""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from loadtest.errors import UsageError
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server
from loadtest.setup.declared import NewVersion, SettingChange, read_declared
from loadtest.setup.scratch import scratch_copy


def _digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize("name", ["flask_server", "tf_serving", "torchserve"])
def test_the_next_version_is_laid_beside_the_present_one(
    name: str, servers: Mapping[str, Server], artifact: Artifact
) -> None:
    """In a copy: the artifact and the server's folder stay as they are."""
    server = servers[name]
    before = _digest(artifact.folder), _digest(server.folder)
    how = read_declared(server).new_version
    with scratch_copy(server, artifact, SettingChange(files={"README.md": "{workload}"})) as scratch:
        target = scratch.publish(how)
        assert target.exists()
        assert target.is_relative_to(scratch.artifact.folder.parent)
        assert str(scratch.next_version) in target.name
        assert scratch.server.folder != server.folder
        assert (scratch.server.folder / "README.md").read_text().endswith("\ndigits\n")
        left = scratch.artifact.folder
    assert not left.exists()
    assert (_digest(artifact.folder), _digest(server.folder)) == before


def test_a_copied_archive_says_its_new_version_and_nothing_else_changes(
    servers: Mapping[str, Server], artifact: Artifact
) -> None:
    """TorchServe takes the version from the manifest in the archive."""
    with scratch_copy(servers["torchserve"], artifact) as scratch:
        target = scratch.publish(read_declared(servers["torchserve"]).new_version)
        source = scratch.artifact.folder / "model_store" / "digits.mar"
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(target) as new:
            manifest = "MAR-INF/MANIFEST.json"
            assert json.loads(new.read(manifest))["model"]["modelVersion"] == "2"
            assert new.namelist() == old.namelist()
            others = [name for name in old.namelist() if name != manifest]
            assert all(old.read(name) == new.read(name) for name in others)


def test_a_changed_command_is_that_of_the_copy(servers: Mapping[str, Server], artifact: Artifact) -> None:
    """Arguments are added at the end, as for a variant."""
    with scratch_copy(servers["tf_serving"], artifact, SettingChange(args=("--more",))) as scratch:
        assert all(launch.command[-1] == "--more" for launch in scratch.server.launches)


@pytest.mark.parametrize(
    "how",
    [
        NewVersion("nowhere", "x"),
        NewVersion("model_store/digits.mar", "x", "MAR-INF/MANIFEST.json", "model.noSuchKey"),
        NewVersion("manifest.json", "x", "member", "key"),
    ],
)
def test_a_version_that_cannot_be_made_is_an_error(
    how: NewVersion, servers: Mapping[str, Server], artifact: Artifact
) -> None:
    """The text names the source."""
    with (
        scratch_copy(servers["torchserve"], artifact) as scratch,
        pytest.raises(UsageError, match="the next version cannot be made from"),
    ):
        scratch.publish(how)
