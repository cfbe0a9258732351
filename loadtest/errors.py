"""The exceptions of the load tester. A failed request is data and is never one of these."""

from collections.abc import Sequence
from typing import Any


class LoadtestError(Exception):
    """Anything that ends a command; its text is one line that names what to do."""


class UsageError(LoadtestError):
    """An argument, a file or a setting that cannot be used as given."""


class StorageError(UsageError):
    """What was measured cannot be kept, such as on a full disk: no server's fault, and nothing more is measured."""


class ArtifactError(LoadtestError):
    """The built model is missing, altered or of another schema."""


class LaunchError(LoadtestError):
    """A server could not be started, did not become ready or was not found."""


class ParityError(LoadtestError):
    """A server's answers differ from the golden ones, so it must not be timed."""


class MeasurementError(LoadtestError):
    """A measurement could not be taken at all, for example because its worker process died.

    Attributes:
        findings: Why, as `loadtest.judge.findings.Finding`; `loadtest.report.wording` words them.
    """

    def __init__(self, message: str, findings: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.findings = tuple(findings)
