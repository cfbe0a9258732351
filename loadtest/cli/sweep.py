"""``loadtest sweep``: one server over a range of connections or rates."""

import click
from rich.table import Table

from loadtest.cli.common import (
    LaunchOptions,
    batch_option,
    check_writable,
    launch_options,
    seed_option,
    stdout,
    wire_option,
    workload_option,
    write_record,
)
from loadtest.cli.numbers import CONNECTIONS, RATE, SECONDS, SECONDS_OR_NONE, Several
from loadtest.cli.one_server import one_server
from loadtest.load.plan import Load
from loadtest.load.schedule import Closed, Poisson
from loadtest.report.wording import all_words


@click.command()
@click.argument("server")
@click.option(
    "--connections",
    type=Several(CONNECTIONS),
    default="1,2,4,8,16",
    show_default=True,
    help="Closed loop at each of these.",
)
@click.option("--rates", type=Several(RATE), metavar="A,B,…", help="Instead: Poisson arrivals at each of these rates.")
@click.option("--duration", type=SECONDS, default=3.0, show_default=True, help="Seconds of each run.")
@click.option(
    "--warmup",
    type=SECONDS_OR_NONE,
    default=10.0,
    show_default=True,
    help="Longest warm-up before each run, seconds; it ends when the server is steady.",
)
@wire_option
@batch_option
@seed_option
@click.option("--json", "json_out", default=None, metavar="FILE|-", help="Write the runs as JSON.")
@workload_option
@launch_options
def sweep(
    server: str,
    connections: tuple[int, ...],
    rates: tuple[float, ...] | None,
    duration: float,
    warmup: float,
    wire: str,
    batch: int,
    seed: int,
    json_out: str | None,
    workload: str,
    launch: LaunchOptions,
) -> None:
    """Run SERVER at several concurrencies (closed loop), or at several rates (open loop)."""
    check_writable(json_out)
    if rates:
        loads = [Load(Poisson(rate, duration), warmup, max(connections), seed=seed) for rate in rates]
    else:
        loads = [Load(Closed(duration), warmup, count, seed=seed) for count in connections]
    with one_server(server, launch, workload, wire, batch) as target:
        label, results = target.label, []
        for number, load in enumerate(loads, 1):
            offered = f"{load.schedule.rate:,.0f} requests/s" if load.schedule.rate else "closed loop"
            step = f"{number} of {len(loads)}: {load.connections} connections, {offered}"
            results.append(target.measure(load, step))
    if json_out:
        write_record(json_out, [result.result() for result in results])
    if json_out == "-":
        return
    table = Table(title=f"{label} over {wire}, {batch} a request", title_justify="left")
    for title in ("connections", "offered /s", "answered /s", "p50 ms", "p99 ms", "failed", "verdict"):
        table.add_column(title, justify="right")
    for result in results:
        tally = result.tally
        table.add_row(
            f"{result.run.connections}",
            f"{result.run.rate:,.0f}" if result.run.rate else "closed",
            f"{result.throughput_rps:,.0f}",
            f"{result.response_ms(50):.2f}",
            f"{result.response_ms(99):.2f}",
            f"{tally.scheduled - tally.ok:,}",
            "valid" if result.verdict.valid else "INVALID: " + all_words(result.verdict.reasons),
        )
    stdout.print(table)
