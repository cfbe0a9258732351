import pytest

from loadtest.report.reading import Document, read_comparison
from tests.report.samples import SAMPLE


@pytest.fixture
def document() -> Document:
    """A real comparison of four servers, three rounds, with load curves and capacities."""
    return read_comparison(SAMPLE)
