"""A server that was already running when it was asked for."""

from collections.abc import Callable
from typing import Any

from loadtest.errors import LaunchError
from loadtest.launch.running import RunningServer
from loadtest.machine.usage import Usage
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server


class AttachedServer(RunningServer):
    """A server found at its default ports. It is used as it is and left running."""

    def raise_if_ended(self) -> None:
        """Do nothing: whether it has ended is not known."""

    def log_tail(self, lines: int = 0) -> str:
        """Where to look instead."""
        return "  (it was started elsewhere; look at its own output)"

    def usage(self) -> Usage:
        """Raise, since its processes are not known."""
        raise LaunchError(f"{self.server.key} was started elsewhere, so its CPU and memory are not known")

    def usage_if_known(self) -> Callable[[], Usage] | None:
        """Return None: its processes are not known."""
        return None

    def describe(self) -> dict[str, Any]:
        """Say that it was found."""
        return {"found": self.url}

    def stop(self) -> None:
        """Leave it running."""


def find_running(server: Server, artifact: Artifact, host: str = "127.0.0.1") -> AttachedServer | None:
    """Return the server at its default ports, where its readiness probe is positive, or None."""
    attached = AttachedServer(server, artifact, _label(server), host, dict(server.ports))
    return attached if attached.is_ready() else None


def _label(server: Server) -> str:
    """A label that claims no more than is known: a server found running may be the real one or its stand-in."""
    labels = list(dict.fromkeys(launch.label or server.label for launch in server.launches))
    return labels[0] if len(labels) == 1 else f"{server.name}, found running ({' or '.join(labels)})"
