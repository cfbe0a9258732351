"""The profile `board`: TensorBoard in the image of the models, over the volume of the artifacts."""

import json
import socket
from dataclasses import replace

import pytest

from loadtest.wire.single_request import request
from tests.stack.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.slow]


def test_it_shows_the_runs_of_the_volume_and_can_alter_nothing(stack: Stack) -> None:
    """On loopback, of both frameworks; it runs in the image that built them, behind the same fences."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    beside = replace(stack, environment={**stack.environment, "BOARD_PORT": str(port)})
    try:
        beside.compose("--profile", "board", "up", "--detach", "--no-build", "--no-deps", "--wait", "board")
        answer = request("127.0.0.1", port, "/data/runs")
        assert answer.status == 200
        runs = set(json.loads(answer.body))
        assert {f"digits/1/board/{one}/seed-0/training" for one in ("torch", "tensorflow")} <= runs
        assert stack.container("board").attrs["Config"]["Image"] == f"{stack.project}-models"
        assert beside.inside("board", "id -u") == "10001"
        assert "Read-only" in beside.inside("board", "touch /artifacts/x 2>&1 || true")
    finally:
        beside.compose("--profile", "board", "rm", "--stop", "--force", "board", check=False)
