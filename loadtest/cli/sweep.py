"""``loadtest sweep``: one server over a range of connections or rates."""

import json

import click
from rich.table import Table

from loadtest.cli.common import (
    LaunchOptions,
    batch_option,
    check_writable,
    following,
    launch_options,
    reachable,
    seed_option,
    status,
    stdout,
    workload_option,
    write_text,
)
from loadtest.cli.numbers import CONNECTIONS, RATE, SECONDS, SECONDS_OR_NONE, Several
from loadtest.experiments.measured_run import Load
from loadtest.experiments.server_run import measure_server
from loadtest.load.schedule import Closed, Poisson
from loadtest.servers.server_toml import load_servers, select_server


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
@click.option("--warmup", type=SECONDS_OR_NONE, default=0.5, show_default=True, help="Seconds before each.")
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
    wanted = select_server(server, load_servers())
    launcher = launch.launcher(workload)
    launcher.artifact.batches(batch)
    results = []
    with reachable(wanted, launcher) as running, status("sweeping") as update:
        for number, load in enumerate(loads, 1):
            offered = f"{load.schedule.rate:,.0f} requests/s" if load.schedule.rate else "closed loop"
            step = f"{running.label}, {number} of {len(loads)}: {load.connections} connections, {offered}"
            live = following(update, step)
            result, _ = measure_server(running, load, launcher.placement, batch=batch, on_progress=live)
            results.append(result)
    if json_out:
        write_text(json_out, json.dumps([result.to_json() for result in results], indent=1) + "\n")
    if json_out == "-":
        return
    table = Table(title=f"{running.label}, {batch} a request", title_justify="left")
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
            "valid" if result.verdict.valid else "INVALID: " + "; ".join(result.verdict.reasons),
        )
    stdout.print(table)
