"""``loadtest ceiling``: how fast this client can be on this machine."""

import click

from loadtest.cli.common import stdout
from loadtest.cli.numbers import CONNECTIONS, SECONDS
from loadtest.experiments.measured_run import measure
from loadtest.load.plan import Load
from loadtest.load.schedule import Closed
from loadtest.machine.placement import choose_placement
from loadtest.servers.expectation import Exactly
from loadtest.wire.http1 import HttpTarget
from loadtest.wire.null_server import BODY, null_server


@click.command()
@click.option("--connections", type=CONNECTIONS, default=16, show_default=True)
@click.option("--processes", type=CONNECTIONS, default=1, show_default=True, help="Client processes.")
@click.option("--duration", type=SECONDS, default=3.0, show_default=True, help="Seconds.")
@click.option("--pin/--no-pin", default=True, show_default=True, help="Client on one core, server on the others.")
def ceiling(connections: int, processes: int, duration: float, pin: bool) -> None:
    """Measure this client against a server that does nothing, checking every answer."""
    placement = choose_placement(pin=pin, client_cores=processes)
    with null_server(placement) as url:
        endpoint = HttpTarget.build(url, [b""], Exactly(BODY), method="GET")
        load = Load(Closed(duration), connections=connections, processes=processes)
        result, _ = measure(endpoint, load, target=url, expectation="file", placement=placement)
    per_request = result.client_cpu_s / max(result.tally.ok, 1)
    stdout.print(
        f"{result.throughput_rps:,.0f} requests/s over {connections} connections, the client at "
        f"{result.client_cpu_share:.0%} of a core: {per_request * 1e5:.2f} CPU seconds per 100,000 requests"
    )
    stdout.print(f"a whole core would carry {processes / per_request:,.0f} requests/s; measure servers well below that")
