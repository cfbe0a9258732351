"""The files of the stack, read as text or by `docker compose config`: no container is started."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from loadtest.servers.server_toml import load_servers, select_servers

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = sorted(ROOT.glob("*/Dockerfile"))
SERVICES = [server.compose_service for server in select_servers(None, load_servers())]
PROFILES = ["--profile", "loadtest", "--profile", "observability", "--profile", "board"]
OVERRIDES = {
    "plain": ["compose.yaml"],
    "embedded": ["compose.yaml", "compose.embedded.yaml"],
    "gpu": ["compose.yaml", "compose.gpu.yaml"],
    "token": ["compose.yaml", "compose.token.yaml"],
}


def _config(files: list[str], **environment: str) -> dict[str, Any]:
    # Without the user's own settings: a .env in the repository would change what is tested.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")}
    arguments = [word for file in files for word in ("--file", file)]
    done = subprocess.run(
        ["docker", "compose", "--env-file", os.devnull, *arguments, *PROFILES, "config", "--format=json"],
        cwd=ROOT,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    config: dict[str, Any] = json.loads(done.stdout)
    return config


@pytest.mark.stack
@pytest.mark.parametrize("files", OVERRIDES.values(), ids=OVERRIDES)
def test_every_override_is_valid_and_keeps_the_fences(files: list[str]) -> None:
    """Compose accepts each combination, and none of them takes a fence away."""
    services = _config(files, FLASK_SERVER_BEARER_TOKEN_FILE="./token")["services"]
    assert set(services) == {"models", "loadtest", "board", "prometheus", "grafana", *SERVICES}
    for service in services.values():
        assert service["user"].split(":")[0] not in ("0", "root")
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges=true"]
        assert not service.get("privileged")
        assert all(port["host_ip"] == "127.0.0.1" for port in service.get("ports", []))
        assert not [mount for mount in service.get("volumes", []) if "docker.sock" in mount["source"]]


@pytest.mark.stack
def test_the_official_image_runs_unless_it_is_replaced() -> None:
    """The plain stack has the official image at its documented paths and ports, with no entry point of ours."""
    service = _config(OVERRIDES["plain"])["services"]["tf_serving"]
    assert service["image"] == "tensorflow/serving:2.20.0"
    assert service["entrypoint"] is None
    assert "build" not in service
    assert {port["target"] for port in service["ports"]} == {8500, 8501}
    assert "/models" in {mount["target"] for mount in service["volumes"]}
    # The second is passed on where it is set, and not set otherwise: TensorFlow's default stays the default.
    assert service["environment"] == {"MODEL_NAME": "digits", "TF_ENABLE_ONEDNN_OPTS": None}
    switched = _config(OVERRIDES["plain"], TF_ENABLE_ONEDNN_OPTS="0")["services"]["tf_serving"]
    assert switched["environment"]["TF_ENABLE_ONEDNN_OPTS"] == "0"
    assert all(word.startswith("--") for word in service["command"])


@pytest.mark.stack
def test_the_stand_in_never_gets_the_name_of_the_official_image() -> None:
    """The embedded server is built under a name of the project; everything but the image stays."""
    plain, embedded = (_config(OVERRIDES[name])["services"]["tf_serving"] for name in ("plain", "embedded"))
    assert "image" not in embedded
    assert embedded["build"]["dockerfile"] == "tf_serving/Dockerfile"
    assert {**plain, "image": None, "build": None} == {**embedded, "image": None, "build": None}


@pytest.mark.stack
def test_resources_come_from_one_place() -> None:
    """One variable each sets cores, memory and threads of all servers."""
    changed = {"SERVER_CPUS": "3", "SERVER_CPUSET": "1-3", "SERVER_MEMORY": "1g", "SERVER_THREADS": "3"}
    services = _config(OVERRIDES["plain"], **changed)["services"]
    servers = [services[name] for name in ("tf_serving", "torchserve", "flask_server")]
    for server in servers:
        assert (server["cpus"], server["cpuset"], server["mem_limit"]) == (3, "1-3", str(1 << 30))
        assert re.search(r"(--workers |parallelism=)3", " ".join(server["command"]))


def test_the_example_of_settings_is_complete_and_right() -> None:
    """Every variable of the compose files stands in .env.example with the same default, and no other does."""
    used: dict[str, str] = {}
    for path in (ROOT / "compose.yaml", ROOT / "compose.embedded.yaml"):
        used |= dict(re.findall(r"\$\{([A-Z_]+):?-([^}]*)\}", path.read_text()))
    lines = (ROOT / ".env.example").read_text().splitlines()
    shown = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert shown == used


@pytest.mark.parametrize("stage", ["torch", "tensorflow"])
def test_images_share_the_stages_that_are_large(stage: str) -> None:
    """A stage that several images have is spelt the same in each, so that it is built and stored once."""
    pattern = re.compile(rf"^FROM \S+ AS {stage}\n.*?(?=^FROM|\n\n)", re.DOTALL | re.MULTILINE)
    spellings = {path.parent.name: found.group() for path in DOCKERFILES if (found := pattern.search(path.read_text()))}
    assert len(spellings) >= 2
    assert len(set(spellings.values())) == 1, spellings


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_images_run_as_a_plain_user_and_name_no_frontend(path: Path) -> None:
    """Every image has a numeric user, several stages, and no frontend that would have to be pulled."""
    text = path.read_text()
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
    assert text.count("\nFROM ") >= 2
    assert "syntax=" not in text
