"""What every test may use: the built model, and the servers of the project."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from devices import environment
from devices.errors import DevicesError
from loadtest.errors import ArtifactError
from loadtest.experiments import comparison as comparing
from loadtest.experiments import turn
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.report.reading import Document, read_results
from loadtest.servers.artifact import Artifact, load_artifact
from loadtest.servers.server_folder import Server
from loadtest.servers.server_toml import load_servers
from tests.report.samples import SAMPLE
from tests.shortest import GATE_S
from tests.wire.programmable import Programmable

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the fast tests first, then those that need containers, which take longest, and then the other slow ones."""

    def group(item: pytest.Item) -> int:
        return 1 if item.get_closest_marker("stack") else 2 if item.get_closest_marker("slow") else 0

    items.sort(key=group)


class _FileByFile(LoadFileScheduling):  # type: ignore[misc]  # pytest-xdist ships no types
    """Each file of tests is run by one process, and those of the stack by the same: they share its containers."""

    def _split_scope(self, nodeid: str) -> str:
        return "tests/stack" if nodeid.startswith("tests/stack/") else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """Deal the tests out to the processes of pytest-xdist."""
    return _FileByFile(config, log)


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


@pytest.fixture(scope="session")
def exporters() -> None:
    """The tests that ask for it are skipped, with the reason, where the exporters are missing."""
    try:
        environment.python()
    except DevicesError as error:
        pytest.skip(str(error))


@pytest.fixture
def mortal_server() -> Iterator[Programmable]:
    """A programmable server that a test may kill."""
    server = Programmable()
    yield server
    server.close()


@pytest.fixture
def shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison with a short gate and without the times of the forward pass, where a test asks for neither."""
    monkeypatch.setattr(turn, "GATE_S", GATE_S)
    monkeypatch.setattr(comparing, "time_forward_passes", lambda *arguments: [])


@pytest.fixture
def document() -> Document:
    """A real comparison of four servers, three rounds, with load curves and capacities."""
    return read_results(SAMPLE).only


@pytest.fixture
def comparison(document: Document) -> ComparisonResult:
    """The same comparison without its ease of setup."""
    return document.comparison
