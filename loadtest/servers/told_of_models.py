"""What files beside a result tell of the models that were measured."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from loadtest.errors import UsageError


class OfOneVersion(Protocol):
    """Something that is told of one version of a model."""

    @property
    def version(self) -> int:
        """Of the model."""


Told = TypeVar("Told", bound=OfOneVersion)


def told_of_models(
    versions: Mapping[str, Any], read: Callable[[str], Told | None], about: str
) -> tuple[dict[str, Told], list[str]]:
    """Read what is told of each model.

    Args:
        versions: Of each model that was measured, by its name; another version of it is none of them.
        read: Reads what is told of the model of a name; None where nothing is. It raises `UsageError` where that
            cannot be read.
        about: What it is about, for a remark on what cannot be read.

    Returns:
        What is told, by the names of the models, and what a reader must know of what could not be read.
    """
    found, remarks = {}, []
    for name, version in versions.items():
        try:
            told = read(name)
        except UsageError as error:
            remarks.append(f"nothing is told of {about}: {error}")
            continue
        if told and str(told.version) == str(version):
            found[name] = told
    return found, remarks
