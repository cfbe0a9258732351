"""The real models, where their packages let them be built."""

import pytest

from loadtest.errors import ArtifactError
from loadtest.servers.artifact import Artifact, load_artifact


def _built(workload: str) -> Artifact:
    try:
        return load_artifact(workload)
    except ArtifactError as error:
        pytest.skip(f"{error}")


@pytest.fixture(scope="session")
def minilm() -> Artifact:
    """The text encoder."""
    return _built("minilm")


@pytest.fixture(scope="session")
def imagenet() -> Artifact:
    """The image classifier."""
    return _built("imagenet")
