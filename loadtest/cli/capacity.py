"""``loadtest capacity``: the highest rate that meets an objective."""

import contextlib
import math
from collections.abc import Iterator

import click

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
from loadtest.cli.numbers import CONNECTIONS, COUNT, PRECISION, RATE, SECONDS
from loadtest.cli.one_server import in_use, prepared
from loadtest.experiments.capacity_search import PRECISION as PRECISION_DEFAULT
from loadtest.experiments.capacity_search import PROBE_S, SEARCHES, RunAt, find_capacity, probe_load
from loadtest.judge.capacity_result import Capacity, Probe
from loadtest.judge.measured import MeasuredRun
from loadtest.judge.objective import Objective
from loadtest.report.wording import all_words


@click.command()
@click.argument("server")
@click.option("--slo", default="p99<50ms", show_default=True, help="Objective on the response time.")
@click.option("--errors", default="<0.1%", show_default=True, help="Share of requests that may fail.")
@click.option("--start", type=RATE, default=50.0, show_default=True, help="First rate, requests per second.")
@click.option(
    "--precision",
    type=PRECISION,
    default=PRECISION_DEFAULT,
    show_default=True,
    help="The searches end once the interval reaches no farther than this share above the estimate.",
)
@click.option("--searches", type=COUNT, default=SEARCHES, show_default=True, help="How many there are at most.")
@click.option(
    "--min-duration",
    type=SECONDS,
    default=PROBE_S,
    show_default=True,
    help="Shortest probe, seconds; two make a search.",
)
@click.option("--connections", type=CONNECTIONS, default=16, show_default=True)
@wire_option
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
    wire: str,
    batch: int,
    seed: int,
    json_out: str | None,
    workload: str,
    launch: LaunchOptions,
) -> None:
    """Find the highest Poisson rate at which SERVER meets an objective in the long run.

    Each search starts the server anew, unless it is up already. With the defaults it is under load for about two
    minutes, two and a half at most, where its capacity is above 125 requests per second; below, probes are longer.
    """
    check_writable(json_out)
    objective = Objective.parse(slo, errors)
    wanted, launcher = prepared(server, launch, workload, wire, batch)
    fresh, labels = launcher.find(wanted) is None, [wanted.label]

    @contextlib.contextmanager
    def started() -> Iterator[RunAt]:
        with in_use(wanted, launcher, wire, batch) as target:
            labels.append(target.label)

            def run(rate: float, duration_s: float, probe_seed: int) -> MeasuredRun:
                load = probe_load(rate, duration_s, connections, probe_seed)
                return target.measure(load, f"{rate:,.0f} requests/s for {duration_s:.0f} s")

            yield run

    found = find_capacity(
        started,
        objective,
        start=start,
        precision=precision,
        searches=searches,
        probe_s=min_duration,
        seed=seed,
        fresh=fresh,
        on_probe=lambda probe: None if json_out == "-" else stdout.print(_line(probe, objective)),
    )
    _report(found, labels[-1], wire, json_out)
    if not found.rate_rps:
        raise click.exceptions.Exit(1)


def _line(probe: Probe, objective: Objective) -> str:
    mark = "[green]met[/green]   " if probe.met else "[red]missed[/red]"
    failed = f", {probe.failed_share:.2%} failed" if probe.failed_share else ""
    return f"{mark} {probe.rate:9,.1f}/s: p{objective.percent:g} {probe.observed_ms:8.2f} ms{failed}"


def _report(found: Capacity, label: str, wire: str, json_out: str | None) -> None:
    if json_out:
        write_record(json_out, {"schema_version": 2, "kind": "capacity", "server": label, "wire": wire, **vars(found)})
    if json_out == "-":
        return
    for line in outcome(found, label):
        stdout.print(line)


def outcome(found: Capacity, label: str) -> list[str]:
    """What the search says of the server, in lines of console markup."""
    if found.rate_rps:
        bound = "at least " if found.bounded_by_client else ""
        lines = [
            f"[bold]{label}[/bold]: {bound}{found.rate_rps:,.0f} requests/s meet {found.objective}{_spread(found)}"
        ]
    else:
        lines = [f"[bold]{label}[/bold]: no rate was found that meets {found.objective}"]
    if found.limits:
        ended = "" if found.bounded_by_client else "no further search: "
        lines.append(
            f"- {ended}the client or the host, and not the server, was at its limit: {all_words(found.limits)}"
        )
    if found.fresh_servers is False and len(found.searches) > 1:
        lines.append(
            "- the server was up already: its searches share one process, and what starts differ by is not told"
        )
    return lines


def _spread(found: Capacity) -> str:
    """The interval and the searches that it rests on; fewer than three have none."""
    estimate = found.estimate_rps
    if not found.rate_rps or not math.isfinite(estimate.low):
        return ""
    return f" (95 % {estimate.low:,.0f} to {estimate.high:,.0f}, {len(found.searches)} searches)"
