"""``loadtest compare``: the comparison."""

import datetime
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

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
from loadtest.cli.gate import Gate, gate_options, report_folder
from loadtest.cli.numbers import CONNECTIONS, COUNT, RATE, SECONDS, SECONDS_OR_NONE, SEED
from loadtest.errors import LoadtestError, UsageError
from loadtest.experiments.comparison import Watcher
from loadtest.experiments.comparison import compare as run_comparison
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.load.clients import Progress as Glimpse
from loadtest.report import write_report
from loadtest.report.reading import read_document, write_comparison
from loadtest.report.table import remarks, rich_table

DEFAULT = ComparisonPlan()
QUICK = ComparisonPlan(rounds=1, duration_s=4.0, warmup_s=0.5)
THOROUGH = ComparisonPlan(
    rounds=5, duration_s=6.0, warmup_s=5.0, curve=(0.1, 0.3, 0.5, 0.7, 0.8, 0.9), slo="p99<50ms", tries=3
)


@click.command()
@servers_option
@workload_option
@click.option("--rounds", type=COUNT, help=f"Rounds per server; default: {DEFAULT.rounds}.")
@click.option("--duration", type=SECONDS, help=f"Seconds of a round's open-loop run; default: {DEFAULT.duration_s:g}.")
@click.option(
    "--warmup",
    type=SECONDS_OR_NONE,
    help=f"Seconds of load before each run, not counted; default {DEFAULT.warmup_s:g}, thorough {THOROUGH.warmup_s:g}.",
)
@click.option("--rate", type=RATE, help="Common offered rate; default: half of the slowest server's ceiling.")
@click.option("--connections", type=CONNECTIONS, default=8, show_default=True)
@batch_option
@click.option(
    "--seed", type=SEED, default=1, show_default=True, help="Of the schedules and of the order of the rounds."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the result; default: results/<timestamp>.")
@click.option("--slo", help="Search the capacity under this objective too, such as 'p99<50ms'.")
@click.option("--quick", is_flag=True, help="One short round: a look, not a finding.")
@click.option("--thorough", is_flag=True, help="Five longer rounds with load curves and capacities: for publication.")
@gate_options
@launch_options
def compare(
    servers: str | None,
    workload: str,
    rounds: int | None,
    duration: float | None,
    warmup: float | None,
    rate: float | None,
    connections: int,
    batch: int,
    seed: int,
    out: Path | None,
    slo: str | None,
    quick: bool,
    thorough: bool,
    assertions: Sequence[str],
    assert_file: Path | None,
    junit_file: Path | None,
    launch: LaunchOptions,
) -> None:
    """Check that the servers agree, measure them in turn, and write report.html, report.md and result.json."""
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
    )
    wanted = chosen(servers)
    keys = [server.key for server in wanted]
    gate = Gate.read(assertions, assert_file, junit_file, keys, searched=bool(plan.slo))
    launcher = launch.launcher(workload)
    folder = _folder(out)
    screen = _Screen(stderr, folder)
    try:
        with screen:
            comparison = run_comparison(wanted, launcher, plan, screen, sys.argv[1:])
    except (KeyboardInterrupt, LoadtestError):
        if screen.saved:
            stderr.print(f"the rounds that ended are kept: loadtest report {folder}", soft_wrap=True, markup=False)
        raise
    document = read_document(write_comparison(comparison, folder))
    stdout.print(rich_table(document.comparison))
    for line in remarks(document.comparison):
        stdout.print(f"- {line}", soft_wrap=True, markup=False)
    with report_folder(folder):
        page, _ = write_report(document, folder)
    stdout.print(f"written: {page}, and report.md and result.json beside it", soft_wrap=True, markup=False)
    if not gate.passed(document.comparison) or any(server.faults for server in comparison.servers):
        raise click.exceptions.Exit(1)


def _folder(out: Path | None) -> Path:
    folder = out or Path("results") / datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}; name another folder with --out") from error
    return folder


class _Screen(Watcher):
    """Shows the comparison's progress on a terminal and keeps what there is so far on disk."""

    def __init__(self, console: Console, folder: Path) -> None:
        self.saved = False
        self._folder = folder
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
            console=console,
            refresh_per_second=2,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("setting up", total=None)
        self._stage = ""
        self._started = time.monotonic()

    def __enter__(self) -> "_Screen":
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def stage(self, text: str, done: int, total: int) -> None:
        """Show the new stage."""
        self._stage = text
        self._progress.update(self._task, description=text, completed=done, total=total)

    def progress(self, progress: Glimpse) -> None:
        """Show the live numbers."""
        self._progress.update(self._task, description=f"{self._stage}: {progress}")

    def finished(self, result: ComparisonResult) -> None:
        """Save what there is so far: an interrupted comparison keeps its rounds, and `report` renders them."""
        write_comparison(result, self._folder)
        self.saved = True
