"""``loadtest soak``: a million requests, or hours, on each server: every answer checked, and what it holds on to."""

import contextlib
import math
import sys
from pathlib import Path
from typing import Any

import click

from loadtest.cli.common import (
    LaunchOptions,
    chosen,
    launch_options,
    servers_option,
    status,
    stderr,
    stdout,
    wire_option,
    workload_option,
)
from loadtest.cli.gate import report_folder
from loadtest.cli.numbers import CONNECTIONS, RATE, REQUESTS, SECONDS
from loadtest.errors import LoadtestError, StorageError, UsageError
from loadtest.launch.launcher import Launcher
from loadtest.launch.running import RunningServer
from loadtest.load.clients import Progress
from loadtest.machine.files import check_writable
from loadtest.report import write_resilience_report
from loadtest.report.soak_table import rich_soak
from loadtest.report.wording import told
from loadtest.resilience.soak import SoakPlan
from loadtest.resilience.soak import soak as soak_server
from loadtest.resilience.soak_file import (
    SAMPLES,
    SOAK,
    Sampled,
    ServerBegun,
    ServerEnded,
    SoakBegun,
    SoakWriter,
)
from loadtest.servers.server_folder import Server
from loadtest.wire.formats import asked_over, check_takes, find_wire

UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0}


class Duration(click.ParamType):  # type: ignore[type-arg]  # it takes none before click 8.4
    """Seconds, or a number with its unit: ``90``, ``90s``, ``15m``, ``8h``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds, or `UsageError` with the bounds."""
        text = str(value)
        unit = UNITS.get(text[-1:])
        try:
            seconds: Any = float(text[:-1]) * unit if unit else text
        except ValueError:
            seconds = text
        return float(SECONDS.convert(seconds, param, ctx))


@click.command()
@servers_option
@click.option("--requests", type=REQUESTS, default=None, help="Requests to each server.  [default: 1000000]")
@click.option("--duration", type=Duration(), default=None, help="Time for each server instead: 900, 15m, 8h.")
@click.option("--rate", type=RATE, default=None, help="Poisson load of so many per second; default: a closed loop.")
@click.option("--connections", type=CONNECTIONS, default=16, show_default=True, help="Connections to the server.")
@wire_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="results/soak",
    show_default=True,
    help=f"Folder of {SOAK}, {SAMPLES} and the page; that of a comparison adds the section to its page.",
)
@workload_option
@launch_options
def soak(
    servers: str | None,
    requests: int | None,
    duration: float | None,
    rate: float | None,
    connections: int,
    wire: str,
    out: Path,
    workload: str,
    launch: LaunchOptions,
) -> None:
    """A long night: put each server under load for long, check every answer, and tell what grows.

    Memory, descriptors, threads and p99 are sampled every few seconds; each gets a slope with its interval.
    """
    if requests is not None and duration is not None:
        raise UsageError("--requests and --duration both say when a soak ends: leave one out")
    count = None if duration is not None else 1_000_000 if requests is None else requests
    plan = SoakPlan(requests=count, duration_s=duration, rate=rate, connections=connections)
    wanted = chosen(servers)
    find_wire(wire)
    for server in wanted:
        server.endpoint(wire)
    with report_folder(out):
        check_writable(out / SOAK)
    launcher = launch.launcher(workload)
    check_takes(wire, launcher.artifact, 1)
    asked_over(wire, launcher.artifact)
    begun = SoakBegun.begun_now(launcher, sys.argv[1:])
    with contextlib.closing(launcher), SoakWriter(out, begun) as writer:
        try:
            for server in wanted:
                _soak(launcher, server, plan, wire, writer)
        except KeyboardInterrupt:  # what was measured until then is told
            _tell(writer, wanted, out)
            raise
        passed = _tell(writer, wanted, out)
    if not passed:
        raise click.exceptions.Exit(1)


def _soak(launcher: Launcher, server: Server, plan: SoakPlan, wire: str, writer: SoakWriter) -> None:
    """Soak one server, and keep every sample as it comes."""
    warm = False

    def begin(running: RunningServer, pace_rps: float) -> None:
        nonlocal warm
        warm = True
        writer.add(begun_as(running.label, pace_rps))

    def begun_as(label: str, pace_rps: float) -> ServerBegun:
        return ServerBegun(server.key, label, server.stood_in_for(label), wire, plan, pace_rps)

    with status(server.label) as show:

        def progress(now: Progress) -> None:
            of = f" of {plan.requests:,}" if plan.requests else ""
            pace = f"{now.rate:,.0f}/s, p99 {now.p99_ms:.1f} ms"
            show(f"{server.label}: {now.ok:,}{of} right, {now.failed:,} not; {pace}")

        try:
            totals = soak_server(
                launcher,
                server,
                plan,
                wire=wire,
                say=lambda line: show(f"{server.label}: {line}"),
                on_begin=begin,
                on_sample=lambda sample: writer.add(Sampled(sample)),
                on_progress=progress,
            )
        except StorageError:
            raise
        except LoadtestError as error:
            if not warm:
                writer.add(begun_as(launcher.label(server), math.nan))
            writer.add(ServerEnded(fault=str(error)))
            stderr.print(f"{server.key}: {told(error)}", style="red", markup=False)
        else:
            writer.add(ServerEnded(totals))


def _tell(writer: SoakWriter, wanted: list[Server], out: Path) -> bool:
    """Write what is there, show it, and say whether every server passed."""
    file = writer.summarise()
    found = [file.servers[server.key] for server in wanted if server.key in file.servers]
    if not found:
        return False
    for part in rich_soak(found):
        stdout.print(part)
    for written in (out / SOAK, *write_resilience_report(out, out)):
        stdout.print(f"written: {written}", markup=False)
    return len(found) == len(wanted) and all(one.passed for one in found)
