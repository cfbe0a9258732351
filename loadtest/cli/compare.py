"""``loadtest compare``: the comparison."""

import datetime
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import click

from loadtest.cli.common import (
    LaunchOptions,
    batch_option,
    chosen,
    launch_options,
    servers_option,
    stderr,
    stdout,
    workload_option,
)
from loadtest.cli.comparison_screen import ComparisonScreen
from loadtest.cli.gate import Gate, gate_options, report_folder
from loadtest.cli.numbers import CONNECTIONS, COUNT, MINUTES, RATE, SECONDS, SECONDS_OR_NONE, SEED
from loadtest.errors import LoadtestError, UsageError
from loadtest.experiments.comparison import compare as run_comparison
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.launch.launcher import Launcher
from loadtest.report import write_report
from loadtest.report.answer import conditions
from loadtest.report.headline import headline
from loadtest.report.reading import SETUP, read_document, write_comparison
from loadtest.report.table import remarks
from loadtest.report.terminal_table import terminal_tables
from loadtest.servers.server_folder import Server
from loadtest.servers.server_toml import load_servers
from loadtest.setup.measure_setup import measure_setup
from loadtest.setup.probes.all_probes import ProbeForm
from loadtest.setup.setup_file import EaseOfSetup, write_setup
from loadtest.setup.setup_plan import SetupPlan

DEFAULT = ComparisonPlan()
QUICK = ComparisonPlan(rounds=1, duration_s=4.0, warmup_s=5.0)
THOROUGH = ComparisonPlan(
    rounds=5, duration_s=6.0, warmup_s=20.0, curve=(0.1, 0.3, 0.5, 0.7, 0.8, 0.9), slo="p99<50ms", tries=3
)


@click.command()
@servers_option
@workload_option
@click.option("--rounds", type=COUNT, help=f"Rounds per server; default: {DEFAULT.rounds}.")
@click.option("--duration", type=SECONDS, help=f"Seconds of a round's open-loop run; default: {DEFAULT.duration_s:g}.")
@click.option(
    "--warmup",
    type=SECONDS_OR_NONE,
    help="Longest warm-up before each run, seconds; it ends when the server is steady. "
    f"Default: {DEFAULT.warmup_s:g}, quick {QUICK.warmup_s:g}, thorough {THOROUGH.warmup_s:g}.",
)
@click.option("--until", default="", help="Go on with rounds until every interval is so narrow, such as 'p99 ±10%'.")
@click.option(
    "--within", type=MINUTES, default=DEFAULT.within_s / 60, show_default=True, help="Minutes that --until may take."
)
@click.option("--rate", type=RATE, help="Common offered rate; default: half of the slowest server's ceiling.")
@click.option("--connections", type=CONNECTIONS, default=8, show_default=True)
@batch_option
@click.option(
    "--seed", type=SEED, default=1, show_default=True, help="Of the schedules and of the order of the rounds."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the result; default: results/<timestamp>.")
@click.option("--slo", help="Search the capacity under this objective too, such as 'p99<50ms'.")
@click.option(
    "--setup/--no-setup", default=True, show_default=True, help="Measure the ease of setup after the rounds too."
)
@click.option("--open", "show", is_flag=True, help="Open the page in the browser.")
@click.option("--quick", is_flag=True, help="One short round: it establishes no difference.")
@click.option("--thorough", is_flag=True, help="Five longer rounds with load curves and capacities: for publication.")
@gate_options
@launch_options
def compare(
    servers: str | None,
    workload: str,
    rounds: int | None,
    duration: float | None,
    warmup: float | None,
    until: str,
    within: float,
    rate: float | None,
    connections: int,
    batch: int,
    seed: int,
    out: Path | None,
    slo: str | None,
    setup: bool,
    quick: bool,
    thorough: bool,
    show: bool,
    assertions: Sequence[str],
    assert_file: Path | None,
    junit_file: Path | None,
    launch: LaunchOptions,
) -> None:
    """Check that the servers agree, measure latency and ease of setup in turn, and write the report."""
    if quick and thorough:
        raise UsageError("--quick and --thorough exclude each other")
    default = QUICK if quick else THOROUGH if thorough else DEFAULT
    plan = ComparisonPlan(
        rounds=default.rounds if rounds is None else rounds,
        duration_s=default.duration_s if duration is None else duration,
        warmup_s=default.warmup_s if warmup is None else warmup,
        rate=rate or 0.0,
        connections=connections,
        batch=batch,
        seed=seed,
        curve=default.curve,
        slo=default.slo if slo is None else slo,
        tries=default.tries,
        until=until,
        within_s=within * 60,
    )
    wanted = chosen(servers)
    keys = [server.key for server in wanted]
    gate = Gate.read(assertions, assert_file, junit_file, keys, searched=bool(plan.slo))
    launcher = launch.launcher(workload)
    folder = _folder(out)
    screen = ComparisonScreen(stderr, folder, more_stages=setup)
    try:
        with screen:
            comparison = run_comparison(wanted, launcher, plan, screen, sys.argv[1:])
            path = write_comparison(comparison, folder)
            if setup:
                measured = _measure_setup(wanted, launcher, comparison, screen, quick=quick)
                write_setup(measured, folder / SETUP)
    except (KeyboardInterrupt, LoadtestError):
        if screen.saved:
            stderr.print(f"the rounds that ended are kept: loadtest report {folder}", soft_wrap=True, markup=False)
        raise
    document = read_document(path)
    stdout.print(conditions(document.comparison), soft_wrap=True, markup=False)
    for table in terminal_tables(document.comparison):
        stdout.print(table)
    for sentence in headline(document):
        stdout.print(sentence, markup=False)
    for line in remarks(document.comparison):
        stdout.print(f"- {line}", soft_wrap=True, markup=False)
    with report_folder(folder):
        page, _ = write_report(document, folder)
    stdout.print(f"written: {page}, and report.md and result.json beside it", soft_wrap=True, markup=False)
    _say_what_next(page)
    passed = gate.passed(document.comparison)
    if show:
        click.launch(page.absolute().as_uri())
    if not passed or any(server.faults for server in comparison.servers):
        raise click.exceptions.Exit(1)


def _measure_setup(
    wanted: Sequence[Server], launcher: Launcher, comparison: ComparisonResult, screen: ComparisonScreen, *, quick: bool
) -> EaseOfSetup:
    """Ease of setup of the servers that were measured; their starts were timed in the rounds."""
    starts = {server.key: [one.first_prediction_s for one in server.rounds] for server in comparison.servers}
    # In a container the servers run elsewhere: what can be read is counted, and nothing is started.
    probes: ProbeForm | Literal["none"] = "none" if launcher.name == "network" else "quick" if quick else "full"
    return measure_setup(
        [server for server in wanted if starts[server.key]],
        load_servers(),
        launcher,
        SetupPlan(repeat=0, probes=probes),
        screen.last_stage,
        starts=starts,
    )


def _say_what_next(page: Path) -> None:
    for line in (
        f"open the page: loadtest report --open {page.parent}",
        "ask a server: loadtest up prints a curl line for each",
        "compare in containers: loadtest compare --launcher compose",
    ):
        stdout.print(f"next, {line}", soft_wrap=True, markup=False)


def _folder(out: Path | None) -> Path:
    folder = out or Path("results") / datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}; name another folder with --out") from error
    return folder
