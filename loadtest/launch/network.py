"""The servers of the stack as the load tester's own container sees them: at the names of their services.

That container has no access to Docker, which would be access to the whole machine. So it uses the servers that run,
beside each other, and knows neither their CPU time nor their memory.
"""

import math
import os
from typing import Any

from loadtest.errors import LaunchError
from loadtest.launch.attached import AttachedServer
from loadtest.launch.first_prediction import await_first_prediction
from loadtest.launch.running import RunningServer
from loadtest.machine.placement import UNPINNED, Placement, parse_cores, placement_beside
from loadtest.servers.artifact import Artifact, load_artifact
from loadtest.servers.server_folder import Server


class NetworkServer(AttachedServer):
    """A server at the name of its service; ports that listen on its own loopback are out of reach."""

    def is_ready(self) -> bool:
        """Whether the first golden example is answered correctly."""
        return self.is_right(self.predict_example())

    def effective(self) -> dict[str, Any]:
        """The configuration that the server reports on the ports that can be reached."""
        answers = {name: self.told(one) for name, one in self.server.effective.items()}
        return {name: answer.json if answer.status else "out of reach" for name, answer in answers.items()}


class NetworkLauncher:
    """Finds the servers of the stack over its network.

    Args:
        artifact: The model they serve.
        placement: Cores of the servers and of the client.
        labels: What tables call a server, where it is not what its server.toml says: by key.
        timeout_s: Patience until the first correct prediction, in seconds.
    """

    name = "network"

    def __init__(self, artifact: Artifact, placement: Placement, labels: dict[str, str], timeout_s: float) -> None:
        self.artifact = artifact
        self.placement = placement
        self._labels = labels
        self._timeout_s = timeout_s

    @classmethod
    def from_environment(cls, workload: str, *, pin: bool, client_cores: int, timeout_s: float) -> "NetworkLauncher":
        """Read what compose.yaml tells the container of the load tester.

        LOADTEST_SERVER_CORES is the servers' cpuset, LOADTEST_LABELS a list of ``key=label;…``.
        """
        cores = tuple(sorted(parse_cores(os.environ.get("LOADTEST_SERVER_CORES", ""))))
        pairs = [pair.partition("=") for pair in os.environ.get("LOADTEST_LABELS", "").split(";") if pair]
        labels = {key: label for key, _, label in pairs}
        placement = placement_beside(cores, client_cores) if pin else UNPINNED
        return cls(load_artifact(workload), placement, labels, timeout_s)

    def find(self, server: Server) -> RunningServer | None:
        """Find the server, as `start` does: here nothing is started."""
        return self.start(server)

    def start(self, server: Server) -> RunningServer:
        """The server, once it answers a prediction.

        Raises:
            LaunchError: If it does not.
        """
        found = NetworkServer(server, self.artifact, self.label(server), server.compose_service, dict(server.ports))
        try:
            await_first_prediction(found, math.nan, self._timeout_s)
        except LaunchError as error:
            raise LaunchError(f"{error}\nIs it up? docker compose up --wait") from error
        return found

    def label(self, server: Server) -> str:
        """What LOADTEST_LABELS calls it, or its server.toml."""
        return self._labels.get(server.key, server.label)

    def describe(self) -> dict[str, Any]:
        """That the servers were reached over the stack's network."""
        return {
            "launcher": self.name,
            "server_cores": list(self.placement.server),
            "remarks": [
                "client and servers were containers of one network; the servers ran beside each other and were not "
                "restarted, so there is no time to the first answer, and their CPU time and memory are not known"
            ],
        }

    def close(self) -> None:
        """Do nothing: nothing was started."""
