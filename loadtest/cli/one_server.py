"""What the commands that measure one server share: it is started where it is not up, and put under load."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from loadtest.cli.common import LaunchOptions, following, reachable, status
from loadtest.experiments.server_run import measure_server
from loadtest.judge.measured import MeasuredRun
from loadtest.launch.launcher import Launcher
from loadtest.launch.running import RunningServer
from loadtest.load.plan import Load
from loadtest.machine.placement import Placement
from loadtest.servers.server_folder import Server
from loadtest.servers.server_toml import load_servers, select_server
from loadtest.wire.formats import asked_over, check_takes, find_wire


@dataclass(frozen=True)
class OneServer:
    """A server that is up, for one command.

    Attributes:
        running: The server.
        placement: Cores of the client and of the server.
        wire: Name of the wire format.
        batch: Instances in one request.
        show: Replaces what the terminal's last line says.
    """

    running: RunningServer
    placement: Placement
    wire: str
    batch: int
    show: Callable[[str], None]

    @property
    def label(self) -> str:
        """What tables call it."""
        return self.running.label

    def measure(self, load: Load, step: str) -> MeasuredRun:
        """Put it under load.

        Args:
            load: The plan.
            step: What the terminal says meanwhile.
        """
        live = following(self.show, f"{self.label}: {step}")
        run, _ = measure_server(self.running, load, self.placement, wire=self.wire, batch=self.batch, on_progress=live)
        return run


def prepared(key: str, launch: LaunchOptions, workload: str, wire: str, batch: int) -> tuple[Server, Launcher]:
    """The server and what starts it.

    Args:
        key: Which server.
        launch: How it is started.
        workload: Which model it serves.
        wire: Name of the wire format.
        batch: Instances in one request.

    Raises:
        UsageError: If there is no such server, it does not speak the wire format, or there are fewer inputs than
            instances in one request.
    """
    server = select_server(key, load_servers())
    find_wire(wire)
    server.endpoint(wire)
    launcher = launch.launcher(workload)
    check_takes(wire, launcher.artifact, batch)
    asked_over(wire, launcher.artifact).load.batches(batch)
    return server, launcher


@contextlib.contextmanager
def in_use(server: Server, launcher: Launcher, wire: str, batch: int) -> Iterator[OneServer]:
    """Use the server where it is up already; else start it for as long as the context lasts."""
    with reachable(server, launcher) as running, status("waiting") as show:
        yield OneServer(running, launcher.placement, wire, batch, show)


@contextlib.contextmanager
def one_server(key: str, launch: LaunchOptions, workload: str, wire: str, batch: int) -> Iterator[OneServer]:
    """The two in one, for commands that need the server once; see `prepared`."""
    with in_use(*prepared(key, launch, workload, wire, batch), wire, batch) as target:
        yield target
