"""A small server folder of the test's own, which behaves as it is told."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server
from loadtest.servers.server_toml import load_servers

SCRIPT = Path(__file__).with_name("obedient_server.py")

TOML = """
name = "obedient"
label = "Obedient"
runtime = "torch"
compose_service = "obedient"
written_files = []
[ports]
rest = {port}
[wires]
rest = {{ port = "rest", path = "/predict" }}
[ready]
port = "rest"
path = "/ready"
contains = "yes"
[effective.config]
port = "rest"
path = "/config"
[[launch]]
command = ["{python}", {script}, "{{ports[rest]}}", "{{artifact}}", {mode}]
env = {{ THREADS = "{{threads}}" }}
"""

Obedient = Callable[..., Server]


@pytest.fixture
def obedient(tmp_path: Path, artifact: Artifact) -> Obedient:
    """Make a server that behaves in the given mode."""

    def make(mode: str, port: int = 18999) -> Server:
        folder = tmp_path / "obedient"
        folder.mkdir(exist_ok=True)
        text = TOML.format(port=port, python=sys.executable, script=json.dumps(str(SCRIPT)), mode=json.dumps(mode))
        (folder / "server.toml").write_text(text)
        return load_servers(tmp_path)["obedient"]

    return make
