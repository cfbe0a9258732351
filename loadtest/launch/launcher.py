"""What a launcher is, and the one that needs nothing but this machine."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from loadtest.launch.attached import find_running
from loadtest.launch.local import start_local
from loadtest.launch.running import RunningServer
from loadtest.machine.placement import Placement
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server

LOCAL = "local"
"""Name of the launcher whose servers are processes of this machine."""


class Launcher(Protocol):
    """Starts servers for one artifact."""

    @property
    def name(self) -> str:
        """``local``, ``compose`` or ``network``; results of different launchers are never put into one table."""

    @property
    def artifact(self) -> Artifact:
        """The model that the servers serve."""

    @property
    def placement(self) -> Placement:
        """Cores of the servers and of the client."""

    def find(self, server: Server) -> RunningServer | None:
        """A server that is up already and may be used, or None."""

    def start(self, server: Server) -> RunningServer:
        """Start a server and wait for its first correct prediction."""

    def label(self, server: Server) -> str:
        """What tables call a server that it starts; of a container that is known once it was started."""

    def describe(self) -> dict[str, Any]:
        """Versions and limits of what the servers run in; under ``remarks`` what a reader of a table must know."""

    def close(self) -> None:
        """End whatever this launcher brought up and no server's `stop` has ended."""


@dataclass(frozen=True)
class LocalLauncher:
    """Starts each server as a process tree.

    Attributes:
        artifact: The model to serve.
        placement: Cores of the servers and of the client.
        any_port: Take free ports in place of the default ones.
        timeout_s: Patience until the first correct prediction, in seconds.
    """

    artifact: Artifact
    placement: Placement
    any_port: bool = False
    timeout_s: float = 120.0
    name: str = LOCAL

    def find(self, server: Server) -> RunningServer | None:
        """The server at its default ports, where it is up; None where free ports are to be taken."""
        return None if self.any_port else find_running(server, self.artifact)

    def start(self, server: Server) -> RunningServer:
        """Start a server and wait for its first correct prediction."""
        return start_local(server, self.artifact, self.placement, any_port=self.any_port, timeout_s=self.timeout_s)

    def label(self, server: Server) -> str:
        """The label of the way in which it starts the server."""
        return server.launch().label or server.label

    def describe(self) -> dict[str, Any]:
        """The versions are those of the artifact's manifest; the limits are the cores."""
        return {"launcher": self.name, "server_cores": list(self.placement.server)}

    def close(self) -> None:
        """Do nothing: each server is ended by its own `stop`."""


@contextlib.contextmanager
def running(launcher: Launcher, servers: Sequence[Server]) -> Iterator[list[RunningServer]]:
    """Start servers one after the other; all of them end with the context, however it ends."""
    with contextlib.ExitStack() as stack:
        started = []
        for server in servers:
            one = launcher.start(server)
            stack.callback(one.stop)
            started.append(one)
        yield started
