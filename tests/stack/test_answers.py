"""What a user gets from `docker compose up`: three servers, one model, the same answer to the same curl."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from loadtest.launch.compose import ComposeLauncher
from loadtest.wire.single_request import request
from tests.shortest import SHORTLY
from tests.stack.stack import PATHS, SERVERS, Stack

pytestmark = [pytest.mark.stack, pytest.mark.slow]


def test_curl_gets_the_same_answer_from_every_server(stack: Stack, launcher: ComposeLauncher) -> None:
    """The body in the artifact, sent to each published port, brings the golden probabilities from all three."""
    body = launcher.artifact.folder / "golden" / "request.json"
    answers = [_curl(stack.url(service), body) for service in SERVERS]
    right = launcher.artifact.golden.outputs["probabilities"][:1]
    for answer in answers:
        assert np.abs(answer - right).max() <= launcher.artifact.tolerance
    assert len({int(answer.argmax()) for answer in answers}) == 1


def _curl(url: str, body: Path) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    command = ["curl", "-sS", "--fail", "-H", "Content-Type: application/json", "-d", f"@{body}", url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return np.array(json.loads(done.stdout)["predictions"], dtype=np.float64)


@pytest.mark.parametrize("service", SERVERS)
def test_healthy_means_that_a_prediction_is_answered(stack: Stack, service: str) -> None:
    """The health check's own output holds the status and the prediction that it got."""
    container = stack.container(service)
    health = container.attrs["State"]["Health"]
    assert health["Status"] == "healthy"
    passed = [check["Output"] for check in health["Log"] if check["ExitCode"] == 0]
    assert passed[-1].startswith("200")
    assert '"predictions"' in passed[-1].replace(" ", "")


@pytest.mark.parametrize("service", ["torchserve", "flask_server"])
def test_a_body_of_50_mb_is_refused(stack: Stack, service: str) -> None:
    """Bodies are limited; TensorFlow Serving has no setting for it, and so its memory limit is the fence."""
    answer = request("127.0.0.1", stack.port(service), PATHS[service], b" " * 50_000_000, timeout_s=60.0)
    assert answer.status in (0, 413), answer.body[:200]  # 0: refused before the whole body was sent
    assert request("127.0.0.1", stack.port(service), PATHS[service], b"{}").status == 400


def test_check_agrees_and_leaves_the_stack_up(stack: Stack) -> None:
    """`loadtest check` uses the containers that run, names the stand-in by its own name and stops nothing."""
    before = {service: stack.container(service).attrs["State"]["StartedAt"] for service in SERVERS}
    done = stack.loadtest("check", "--launcher", "compose")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("agrees") == 3
    assert "TF Serving API (embedded)" in done.stdout
    assert "TensorFlow Serving:" not in done.stdout
    assert {service: stack.container(service).attrs["State"]["StartedAt"] for service in SERVERS} == before


def test_the_load_tester_in_its_container(stack: Stack) -> None:
    """`docker compose run --rm loadtest compare` reaches the servers by name and leaves its result on the host."""
    arguments = ["--servers", "tf_serving,flask_server", *SHORTLY, "--out", "results/here"]
    stack.compose("run", "--rm", "--no-TTY", "loadtest", "compare", *arguments)
    folder = Path(stack.environment["RESULTS"]) / "here"
    (document,) = json.loads((folder / "result.json").read_text())["comparisons"]
    assert document["launcher"]["launcher"] == "network"
    assert document["servers"][0]["label"] == "TF Serving API (embedded)"
    assert all(server["parity"]["faults"] == [] for server in document["servers"])
    assert "their CPU time and memory are not known" in (folder / "report.md").read_text()
    placement = document["placement"]
    assert not set(placement["server"]) & set(placement["client"])
