"""A load on a running server, with requests whose answers are known, and with its accounts."""

from collections.abc import Callable

from loadtest.experiments.measured_run import measure
from loadtest.judge.measured import MeasuredRun
from loadtest.launch.running import RunningServer
from loadtest.load.clients import Progress
from loadtest.load.plan import Load
from loadtest.machine.placement import Placement
from loadtest.machine.usage import Usage
from loadtest.servers.server_folder import DEFAULT_WIRE
from loadtest.wire.formats import asked_over
from loadtest.wire.golden_target import Target, golden_target


def measure_server(
    running: RunningServer,
    load: Load,
    placement: Placement,
    *,
    wire: str = DEFAULT_WIRE,
    batch: int = 1,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    usage: Callable[[], Usage] | None = None,
) -> tuple[MeasuredRun, Usage | None]:
    """Put a server under load, all requests different as far as the inputs go, and check every answer.

    Args:
        running: The server.
        load: The plan.
        placement: Cores of the client and of the server.
        wire: Name of the wire format.
        batch: Instances in one request.
        on_progress: Called about once a second.
        usage: Reads what the server used, in place of its own accounts.

    Returns:
        See `loadtest.experiments.measured_run.measure`.

    Raises:
        UsageError: If the server does not speak the wire format.
    """
    endpoint = server_target(running, load.requests, wire, batch)
    return measure(
        endpoint,
        load,
        target=running.url_over(wire),
        wire=wire,
        expectation=endpoint.expectation.name,
        placement=placement,
        server_usage=usage or running.usage_if_known(),
        server_times=(running.server.times, running.times) if running.server.times else None,
        on_progress=on_progress,
    )


def server_target(running: RunningServer, requests: float, wire: str = DEFAULT_WIRE, batch: int = 1) -> Target:
    """Requests to a server, all different as far as the inputs go, with their right answers.

    Args:
        running: The server.
        requests: How many will be sent.
        wire: Name of the wire format.
        batch: Instances in one request.

    Raises:
        UsageError: If the server does not speak the wire format.
    """
    artifact = asked_over(wire, running.artifact)
    examples = artifact.load.for_requests(requests, batch)
    return golden_target(wire, running.url_over(wire), artifact.workload, examples, batch, running.headers)
