"""The small server of tests/launch, and the models of a project of the test's own."""

from tests.launch.conftest import obedient

__all__ = ["obedient"]
