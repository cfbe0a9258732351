from collections.abc import Iterator

import pytest

from tests.loadtest.programmable import Programmable


@pytest.fixture(scope="session")
def servers() -> Iterator[Programmable]:
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
