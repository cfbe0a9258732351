import pytest

from devices import environment
from devices.errors import DevicesError


@pytest.fixture(scope="session")
def exporters() -> None:
    """The tests that ask for it are skipped, with the reason, where the exporters are missing."""
    try:
        environment.python()
    except DevicesError as error:
        pytest.skip(str(error))
