"""How a server is started to be validated. It is up once it calls itself ready, and nothing was asked of it by then."""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from loadtest.errors import LoadtestError
from loadtest.launch.first_prediction import await_ready
from loadtest.launch.launcher import LOCAL
from loadtest.launch.local import start_local
from loadtest.launch.running import RunningServer
from loadtest.machine.placement import Placement
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server
from loadtest.setup.software_versions import software_versions


@dataclass(frozen=True)
class Limits:
    """What a server may use.

    Attributes:
        cores: Its cores; empty where it is not pinned.
        memory_mib: Its memory, in MiB; None where it may use all of the machine's.
    """

    cores: tuple[int, ...]
    memory_mib: float | None = None


class InfraStart(Protocol):
    """A way to start servers on a candidate."""

    @property
    def name(self) -> str:
        """Name of the launcher."""

    @property
    def timeout_s(self) -> float:
        """Seconds that a server may take to load the model."""

    def limits(self, server: Server) -> Limits:
        """What the server may use.

        Raises:
            UsageError: If there is no such server to be started in this way.
        """

    def loaded(self, server: Server) -> AbstractContextManager[RunningServer]:
        """Start the server, wait until it calls itself ready, and end it with the context.

        Raises:
            LoadtestError: If it does not become ready; on leaving, if it did not keep within its limits.
        """

    def label(self, server: Server) -> str:
        """What tables call what was started, or would have been."""

    def software(self, server: Server) -> dict[str, str]:
        """Versions of what it runs on, by name; none where there is nothing that could be started."""


@dataclass(frozen=True)
class ProcessStart:
    """As a process of this machine, on free ports.

    Attributes:
        artifact: The model.
        placement: Cores of the server and of this program.
        timeout_s: Seconds that a server may take to load the model.
    """

    artifact: Artifact
    placement: Placement
    timeout_s: float
    name: str = LOCAL

    def limits(self, server: Server) -> Limits:
        """The cores of the placement, and any memory."""
        return Limits(self.placement.server)

    @contextlib.contextmanager
    def loaded(self, server: Server) -> Iterator[RunningServer]:
        """Start the server, wait until it calls itself ready, and end it with the context."""
        running = start_local(
            server, self.artifact, self.placement, any_port=True, timeout_s=self.timeout_s, until=await_ready
        )
        try:
            yield running
        finally:
            running.stop()

    def label(self, server: Server) -> str:
        """The label of the way in which it is started here."""
        try:
            return server.launch().label or server.label
        except LoadtestError:  # it cannot be started here, which is a reason already
            return server.label

    def software(self, server: Server) -> dict[str, str]:
        """The packages of its extra, or what the program says of itself."""
        try:
            return software_versions(server)
        except LoadtestError:
            return {}
