"""``loadtest capacity``: the highest rate that meets an objective."""

import json
import math

import click

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
from loadtest.cli.numbers import CONNECTIONS, COUNT, PRECISION, RATE, SECONDS
from loadtest.experiments.capacity_search import Capacity, Probe, find_capacity
from loadtest.experiments.measured_run import Load
from loadtest.experiments.server_run import measure_server
from loadtest.judge.objective import Objective
from loadtest.judge.run_result import RunResult
from loadtest.load.schedule import Poisson
from loadtest.servers.server_toml import load_servers, select_server


@click.command()
@click.argument("server")
@click.option("--slo", default="p99<50ms", show_default=True, help="Objective on the response time.")
@click.option("--errors", default="<0.1%", show_default=True, help="Share of requests that may fail.")
@click.option("--start", type=RATE, default=50.0, show_default=True, help="First rate, requests per second.")
@click.option(
    "--precision", type=PRECISION, default=0.05, show_default=True, help="Relative width at which a search ends."
)
@click.option("--searches", type=COUNT, default=3, show_default=True, help="Repetitions, for the interval.")
@click.option("--min-duration", type=SECONDS, default=3.0, show_default=True, help="Shortest probe, seconds.")
@click.option("--connections", type=CONNECTIONS, default=16, show_default=True)
@batch_option
@seed_option
@click.option("--json", "json_out", default=None, metavar="FILE|-", help="Write the result as JSON.")
@workload_option
@launch_options
def capacity(
    server: str,
    slo: str,
    errors: str,
    start: float,
    precision: float,
    searches: int,
    min_duration: float,
    connections: int,
    batch: int,
    seed: int,
    json_out: str | None,
    workload: str,
    launch: LaunchOptions,
) -> None:
    """Find the highest Poisson rate at which SERVER meets an objective."""
    check_writable(json_out)
    objective = Objective.parse(slo, errors)
    wanted = select_server(server, load_servers())
    launcher = launch.launcher(workload)
    launcher.artifact.batches(batch)
    with reachable(wanted, launcher) as running, status("searching") as update:

        def run(rate: float, duration_s: float, probe_seed: int) -> RunResult:
            live = following(update, f"{running.label}: {rate:,.0f} requests/s for {duration_s:.0f} s")
            load = Load(Poisson(rate, duration_s), 0.5, connections, seed=probe_seed)
            return measure_server(running, load, launcher.placement, batch=batch, on_progress=live)[0]

        found = find_capacity(
            run,
            objective,
            start=start,
            precision=precision,
            searches=searches,
            min_duration_s=min_duration,
            seed=seed,
            on_probe=lambda probe: None if json_out == "-" else stdout.print(_line(probe, objective)),
        )
        _report(found, running.label, json_out)
    if not found.rate:
        raise click.exceptions.Exit(1)


def _line(probe: Probe, objective: Objective) -> str:
    mark = "[green]met[/green]   " if probe.met else "[red]missed[/red]"
    failed = f", {probe.failed_share:.2%} failed" if probe.failed_share else ""
    return f"{mark} {probe.rate:9,.1f}/s: p{objective.percent:g} {probe.observed_ms:8.2f} ms{failed}"


def _report(found: Capacity, label: str, json_out: str | None) -> None:
    document = {"schema_version": 1, "kind": "capacity", "server": label, **found.to_json()}
    if json_out:
        write_text(json_out, json.dumps(document, indent=1) + "\n")
    if json_out == "-":
        return
    for line in outcome(found, label):
        stdout.print(line)


def outcome(found: Capacity, label: str) -> list[str]:
    """What the search says of the server, in lines of console markup."""
    if found.rate:
        bound = "at least " if found.bounded_by_client else ""
        lines = [f"[bold]{label}[/bold]: {bound}{found.rate:,.0f} requests/s meet {found.objective}{_spread(found)}"]
    else:
        lines = [f"[bold]{label}[/bold]: no rate was found that meets {found.objective}"]
    if found.bounded_by_client:
        lines.append(f"- the client or the host, and not the server, was at its limit: {found.limit}")
    return lines


def _spread(found: Capacity) -> str:
    """The searches' mean and interval; a single search has none."""
    estimate = found.estimate
    if not math.isfinite(estimate.low):
        return ""
    return f" (searches: mean {estimate.value:,.0f}, 95 % {estimate.low:,.0f} to {estimate.high:,.0f})"
