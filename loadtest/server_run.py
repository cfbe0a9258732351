"""A load on a running server, with its golden requests and its accounts."""

from collections.abc import Callable

from loadtest.clients import Progress
from loadtest.launch.running import RunningServer
from loadtest.measure import Load, measure
from loadtest.placement import Placement
from loadtest.results import RunResult
from loadtest.usage import Usage


def measure_server(
    running: RunningServer,
    load: Load,
    placement: Placement,
    *,
    batch: int = 1,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> tuple[RunResult, Usage | None]:
    """Put a server under load over REST and compare every answer with the golden one.

    Args:
        running: The server.
        load: The plan.
        placement: Cores of the client and of the server.
        batch: Golden instances in one request.
        on_progress: Called about once a second.

    Returns:
        See `loadtest.measure.measure`.
    """
    endpoint = running.endpoint(batch)
    return measure(
        endpoint,
        load,
        target=running.url,
        expectation=endpoint.expectation.name,
        placement=placement,
        server_usage=running.usage_if_known(),
        on_progress=on_progress,
    )
