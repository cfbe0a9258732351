"""An artifact with pickles in the place of its numbers, and a manifest that agrees: whoever loads it runs none."""

import hashlib
import json
import os
import pickle
import shutil
import time
import zipfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from loadtest.errors import ArtifactError
from loadtest.launch.local import LocalServer
from loadtest.machine.placement import UNPINNED
from loadtest.machine.ports import free_ports
from loadtest.machine.process_tree import kill_processes, process_tree
from loadtest.servers.artifact import Artifact, load_artifact
from loadtest.servers.server_folder import Server

PATIENCE_S = 120
WEIGHTS = "weights.safetensors"
VARIABLES = "variables/variables.data-00000-of-00001"
REFUSALS = {
    "flask_server": f"{WEIGHTS} is not a safetensors file",
    "torchserve": f"{WEIGHTS} is not a safetensors file",
    "tf_serving": "version: 1} failed",
}
"""What the log of each server says once it has tried to load it."""


class Bomb:
    """What makes a folder where it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """The folder that a pickle makes when it is loaded."""
    return tmp_path / "made"


@pytest.fixture
def poisoned(artifact: Artifact, tmp_path: Path, made: Path) -> Artifact:
    """A copy of the artifact in which the weights, and a golden array, are pickles; its manifest lists these."""
    folder = shutil.copytree(artifact.folder, tmp_path / "artifacts" / artifact.workload / artifact.version)
    content = pickle.dumps(Bomb(made))
    for file in (folder / "torch" / WEIGHTS, folder / "saved_model" / artifact.version / VARIABLES):
        assert file.is_file()
        file.write_bytes(content)
    archive = folder / "model_store" / f"{artifact.workload}.mar"
    with zipfile.ZipFile(archive) as mar:
        members = {name: mar.read(name) for name in mar.namelist()}
    assert WEIGHTS in members
    with zipfile.ZipFile(archive, "w") as mar:
        for name, held in (members | {WEIGHTS: content}).items():
            mar.writestr(name, held)
    np.save(folder / "golden" / "inputs" / "image.npy", np.array([Bomb(made)], object), allow_pickle=True)
    manifest = json.loads((folder / "manifest.json").read_text())
    for name, entry in manifest["files"].items():
        held = (folder / name).read_bytes()
        entry |= {"sha256": hashlib.sha256(held).hexdigest(), "bytes": len(held)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return replace(artifact, folder=folder)


def test_the_servers_run_nothing(poisoned: Artifact, servers: Mapping[str, Server], made: Path) -> None:
    """Each gets as far as the weights, which the hashes let pass, says that they are none, and has made no folder."""
    with ExitStack() as stack:
        started = {}
        for key in REFUSALS:
            server = replace(servers[key], launches=servers[key].launches[-1:])  # the embedded one, of two
            ports = free_ports(server.ports, "127.0.0.1")
            started[key] = LocalServer(server, poisoned, ports, UNPINNED)
            stack.callback(started[key].stop)
        deadline = time.monotonic() + PATIENCE_S
        for key, refusal in REFUSALS.items():
            while refusal not in (log := started[key].log_tail(1_000_000)):
                assert time.monotonic() < deadline, log
                time.sleep(0.1)
            kill_processes(process_tree(started[key].pid), timeout_s=10)  # it has nothing to end in order
            assert "was altered" not in log
            assert "is not the file that" not in log
    assert not made.exists()


def test_the_load_tester_runs_nothing(poisoned: Artifact, made: Path) -> None:
    """A golden array of Python objects is refused, although the manifest lists it as it is."""
    with pytest.raises(ArtifactError):
        load_artifact(poisoned.workload, poisoned.folder.parents[1])
    assert not made.exists()


def test_the_pickles_work_where_something_unpickles(poisoned: Artifact, made: Path) -> None:
    """So what the others show is theirs, and not a fault of the pickles."""
    pickle.loads((poisoned.folder / "torch" / WEIGHTS).read_bytes())
    made.rmdir()
    np.load(poisoned.folder / "golden" / "inputs" / "image.npy", allow_pickle=True)
    made.rmdir()
