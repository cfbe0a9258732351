"""What every test may use: the built model, and the servers of the project."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from loadtest.errors import ArtifactError
from loadtest.experiments import comparison as comparing
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.report.reading import Document, read_results
from loadtest.servers.artifact import Artifact, load_artifact
from loadtest.servers.server_folder import Server
from loadtest.servers.server_toml import load_servers
from tests.report.samples import SAMPLE
from tests.wire.programmable import Programmable

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


@pytest.fixture(scope="session")
def programmable() -> Iterator[Programmable]:
    """One programmable server for all tests: every test opens ports of its own on it."""
    server = Programmable()
    yield server
    server.close()


@pytest.fixture
def mortal_server() -> Iterator[Programmable]:
    """A programmable server that a test may kill."""
    server = Programmable()
    yield server
    server.close()


@pytest.fixture
def shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison with a short gate and without the times of the forward pass, where a test asks for neither."""
    monkeypatch.setattr(comparing, "GATE_S", 0.3)
    monkeypatch.setattr(comparing, "time_forward_passes", lambda *arguments: [])


@pytest.fixture
def document() -> Document:
    """A real comparison of four servers, three rounds, with load curves and capacities."""
    return read_results(SAMPLE).only


@pytest.fixture
def comparison(document: Document) -> ComparisonResult:
    """The same comparison without its ease of setup."""
    return document.comparison
