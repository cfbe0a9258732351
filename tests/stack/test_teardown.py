"""The end of the stack; collected last."""

import pytest

from loadtest.launch.compose_project import ComposeProject
from tests.stack.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.slow]


def test_down_leaves_nothing(stack: Stack) -> None:
    """`docker compose down -v` removes every container, network and volume of the project."""
    engine = ComposeProject(stack.root, stack.environment).engine
    mine: dict[str, str | list[str] | bool] = {"label": f"com.docker.compose.project={stack.project}"}
    assert engine.volumes.list(filters=mine)
    stack.compose("down", "--volumes", "--timeout", "10")
    assert not engine.containers.list(all=True, filters=mine)
    assert not engine.networks.list(filters=mine)
    assert not engine.volumes.list(filters=mine)
