"""What every test may use: the built model, and the servers of the project."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from loadtest.artifact import Artifact, load_artifact
from loadtest.errors import ArtifactError
from loadtest.servers import Server, load_servers

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the fast tests first, then the slow ones, and last those that need containers."""
    items.sort(key=lambda item: (bool(item.get_closest_marker("stack")), bool(item.get_closest_marker("slow"))))


@pytest.fixture(scope="session")
def artifact() -> Artifact:
    """The digits artifact; scripts/test builds it first."""
    try:
        return load_artifact("digits")
    except ArtifactError as error:
        pytest.fail(f"{error}")


@pytest.fixture(scope="session")
def servers() -> Mapping[str, Server]:
    """Every server folder and variant of the project."""
    return load_servers()
