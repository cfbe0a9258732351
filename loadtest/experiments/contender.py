"""What is compared: servers, each over the wire formats that it speaks."""

from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.errors import UsageError
from loadtest.judge.server_result import ServerResult, contender_key
from loadtest.servers.server_folder import Server
from loadtest.wire.formats import find_wire


@dataclass(frozen=True)
class Contender:
    """A server, asked over one wire format.

    Attributes:
        server: Its contract.
        wire: Name of the wire format.
    """

    server: Server
    wire: str

    @property
    def key(self) -> str:
        """What results and thresholds call it."""
        return contender_key(self.server.key, self.wire)

    @property
    def pictures(self) -> bool:
        """Whether it is asked with encoded pictures: it is compared with others that are, and with no other."""
        return find_wire(self.wire).pictures

    def no_result(self) -> ServerResult:
        """Its result before anything was measured.

        Until a server has started it is not known whether it is the real one or its stand-in: its key claims neither.
        """
        server = self.server
        return ServerResult(self.key, server.key, server.runtime, server.facts, server=server.key, wire=self.wire)


def contenders(servers: Sequence[Server], wires: Sequence[str]) -> list[Contender]:
    """Each server over each of the wire formats that it speaks.

    Args:
        servers: The servers.
        wires: Names of the wire formats; that a server does not speak one is a difference to state, and no error.

    Raises:
        UsageError: If a server speaks none of them, or no server one of them.
    """
    for server in servers:
        if not any(wire in server.wires for wire in wires):
            raise UsageError(
                f"{server.key} speaks none of the wire formats {', '.join(wires)}: leave it out of --servers, or add "
                f"one that it speaks to --wires: {', '.join(server.wires)}"
            )
    for wire in wires:
        if not any(wire in server.wires for server in servers):
            raise UsageError(f"none of {', '.join(server.key for server in servers)} speaks {wire}")
    return [Contender(server, wire) for server in servers for wire in wires if wire in server.wires]
