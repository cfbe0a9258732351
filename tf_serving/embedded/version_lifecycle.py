"""The state of model versions, and the policy that decides what happens to them next.

The policy is TensorFlow Serving's availability-preserving one: an old version goes only once a new one serves.
"""

import dataclasses
import enum
from typing import Any

from tf_serving.embedded.errors import ServingError
from tf_serving.embedded.servable import Servable


class State(enum.IntEnum):
    """The states that a version goes through; the numbers of get_model_status.proto."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """What clients are told about a version; `error` is why it ended, if anything went wrong."""

    version: int
    state: State
    error: ServingError | None


class Version:
    """One version of one model, from the time it is found until it is unloaded.

    Attributes:
        aspired: Whether it should be served; the folder and the version policy say so.
        servable: What is loaded, from AVAILABLE until it is unloaded.
        in_flight: Requests that are using it.
    """

    def __init__(self, name: str, number: int, path: str) -> None:
        self.name = name
        self.number = number
        self.path = path
        self.aspired = True
        self.state = State.START
        self.error: ServingError | None = None
        self.servable: Servable | None = None
        self.in_flight = 0

    def __str__(self) -> str:
        return f"{{name: {self.name} version: {self.number}}}"


class ServedModel:
    """A model and its versions.

    Attributes:
        config: Its ModelConfig.
        labels: The version every label stands for.
        configured: False once a new configuration leaves it out.
        trouble: What was last logged about its folder.
        latest: The version for requests that name none.
    """

    def __init__(self, config: Any) -> None:
        self.config = config
        self.labels: dict[str, int] = dict(config.version_labels)
        self.configured = True
        self.trouble = ""
        self.versions: dict[int, Version] = {}
        self.latest: Version | None = None

    @property
    def settled(self) -> bool:
        """Whether there is something to serve and all of it has either loaded or failed for good."""
        wanted = [version for version in self.versions.values() if version.aspired]
        return bool(wanted) and all(version.state in (State.AVAILABLE, State.END) for version in wanted)

    def aspire(self, folders: dict[int, str]) -> list[Version]:
        """Make these versions (folders by number) the ones to serve, and return those not known before."""
        for version in self.versions.values():
            path = folders.get(version.number)
            if version.state is State.AVAILABLE:
                # A version that was to be unloaded but still serves is kept if it is asked for again. One that serves
                # is kept even if its folder has another path now, as in the real server.
                version.aspired = path == version.path or (version.aspired and path is not None)
            else:
                version.aspired = version.aspired and path == version.path
        # A version that is being unloaded is not kept; it is found again once it is gone.
        new = [Version(self.config.name, n, path) for n, path in folders.items() if n not in self.versions]
        self.versions.update((version.number, version) for version in new)
        return new

    def forget_failures(self) -> None:
        """Forget the versions that failed to load, which are then found and tried again."""
        self.versions = {n: version for n, version in self.versions.items() if version.state is not State.END}

    def drop_finished(self) -> bool:
        """Forget the versions that are neither wanted nor loaded; return whether there were any."""
        gone = [v for v in self.versions.values() if not v.aspired and v.state in (State.START, State.END)]
        for version in gone:
            del self.versions[version.number]
        return bool(gone)

    def next_step(self) -> tuple[Version, State] | None:
        """Return the version to load (LOADING) or unload (UNLOADING) next; one at a time."""
        versions = sorted(self.versions.values(), key=lambda version: version.number)
        if any(version.state in (State.LOADING, State.UNLOADING) for version in versions):
            return None
        aspired = [version for version in versions if version.aspired]
        unwanted = [v for v in versions if not v.aspired and v.state is State.AVAILABLE]
        serving = any(version.state is State.AVAILABLE for version in aspired)
        if unwanted and (not aspired or serving or len(unwanted) > 1):
            return unwanted[0], State.UNLOADING
        waiting = [version for version in aspired if version.state is State.START]
        return (waiting[-1], State.LOADING) if waiting else None
