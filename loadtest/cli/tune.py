"""``loadtest tune``: the best configuration of a server's own knobs under an objective."""

import datetime
import sys
import time
from dataclasses import replace
from pathlib import Path

import click

from loadtest.cli.common import (
    LaunchOptions,
    batch_option,
    launch_options,
    seed_option,
    status,
    stderr,
    stdout,
    wire_option,
    workload_option,
    write_record,
    write_text,
)
from loadtest.cli.numbers import CONNECTIONS, COUNT, MINUTES
from loadtest.cli.one_server import prepared
from loadtest.cli.tuning_screen import TuningScreen
from loadtest.errors import LoadtestError, UsageError
from loadtest.experiments.proposals import Space
from loadtest.experiments.tuned_servers import FILE, ROOM, folder_of, shown
from loadtest.experiments.tuning import tune as tune_server
from loadtest.experiments.tuning_trial import TrialRunner, write_configuration
from loadtest.judge.objective import Objective
from loadtest.judge.tuning_result import Outcome, Tuning
from loadtest.launch.launcher import LocalLauncher
from loadtest.machine.host import describe_host
from loadtest.machine.journal import Journal
from loadtest.machine.memory_size import read_memory_size
from loadtest.machine.usage import MIB
from loadtest.report.tuning_report import render, sentences, worth_lines
from loadtest.servers.configured_server import space_of
from loadtest.setup.software_versions import software_versions

JOURNAL = "trials.jsonl"


class MemorySize(click.ParamType):  # type: ignore[type-arg]  # as in numbers.py
    """A size such as ``2g`` or ``1500m``, in MiB."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the size, or raise `UsageError`."""
        return read_memory_size(str(value)) / MIB


@click.command()
@click.argument("server")
@click.option("--slo", default="p99<50ms", show_default=True, help="Objective on the response time.")
@click.option("--errors", default="<0.1%", show_default=True, help="Share of requests that may fail.")
@click.option("--budget", type=MINUTES, default=20.0, show_default=True, help="Minutes that it may take, about.")
@click.option("--cores", type=COUNT, help="Cores of the server; default: all but the client's.")
@click.option(
    "--memory",
    type=MemorySize(),
    default="2g",
    show_default=True,
    envvar="SERVER_MEMORY",
    help="What the server's processes may take together, as in compose.yaml.",
)
@click.option("--connections", type=CONNECTIONS, default=16, show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), default=ROOM, show_default=True, help="Folder of the configurations."
)
@wire_option
@batch_option
@seed_option
@workload_option
@launch_options
def tune(
    server: str,
    slo: str,
    errors: str,
    budget: float,
    cores: int | None,
    memory: float,
    connections: int,
    out: Path,
    wire: str,
    batch: int,
    seed: int,
    workload: str,
    launch: LaunchOptions,
) -> None:
    """Search the configuration of SERVER with the highest capacity, and write it as files that the server takes.

    The knobs are those that the server's folder declares. The best configuration counts only where its advantage over
    the default is outside of the spread; what each knob is worth is measured by putting it back.
    """
    began, started_at = time.monotonic(), datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    objective = Objective.parse(slo, errors)
    if launch.how != "local":
        raise UsageError("tune starts the server with other flags and files each time: use --launcher local")
    wanted, launcher = prepared(server, launch, workload, wire, batch)
    assert isinstance(launcher, LocalLauncher)
    launcher = on_cores(launcher, cores)
    space = space_of(wanted)
    folder = folder_of(out, workload, wanted.name)
    _make(folder)
    journal = Journal(folder / JOURNAL)
    click.get_current_context().call_on_close(journal.close)
    versions = software_versions(wanted)
    try:
        with status(f"tuning {wanted.label}") as update:
            screen = TuningScreen(journal, started_at, update)
            runner = TrialRunner(
                wanted, launcher, objective, memory, wire, batch, connections, on_progress=screen.progress
            )
            around = runner.around
            outcome = tune_server(
                Space(space, around.threads, around.names),
                runner,
                budget_s=budget * 60,
                seed=seed,
                observer=screen,
            )
    except (KeyboardInterrupt, LoadtestError):
        if screen.kept:
            stderr.print(f"measurements kept: {screen.kept}, in {folder / JOURNAL}", soft_wrap=True, markup=False)
        raise
    tuning = Tuning(
        server=wanted.key,
        label=runner.label,
        workload=workload,
        workload_version=launcher.artifact.version,
        weights_sha256=launcher.artifact.weights_sha256,
        wire=wire,
        batch=batch,
        connections=connections,
        cores=around.threads,
        slo=str(objective).partition(",")[0],
        errors=objective.errors,
        memory_mib=memory,
        budget_s=budget * 60,
        seed=seed,
        started_at=started_at,
        took_s=time.monotonic() - began,
        command=sys.argv[1:],
        host=describe_host(),
        launcher={**launcher.describe(), "default": runner.described},
        versions=versions,
        outcome=outcome,
        files=write_configuration(wanted, outcome.tuned, folder, shown(folder), around),
    )
    write_record(str(folder / FILE), tuning)
    write_text(str(folder / "report.md"), render(tuning, space))
    _tell(tuning, outcome, folder)


def on_cores(launcher: LocalLauncher, cores: int | None) -> LocalLauncher:
    """The launcher with so many cores for the servers; None for all that it has.

    Raises:
        UsageError: If there are not so many.
    """
    if cores is None:
        return launcher
    placement = launcher.placement
    if cores > len(placement.server):
        raise UsageError(
            f"--cores {cores}: the servers have {len(placement.server)} here"
            + ("" if placement.pinned else ", since nothing is pinned: leave out --cores, or --no-pin")
        )
    return replace(launcher, placement=replace(placement, server=placement.server[:cores]))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}; name another folder with --out") from error


def _tell(tuning: Tuning, outcome: Outcome, folder: Path) -> None:
    for sentence in sentences(tuning):
        stdout.print(sentence, soft_wrap=True, markup=False)
    for name, default, best, worth in worth_lines(tuning):
        stdout.print(f"- {name} {best} (default {default}): {worth}", soft_wrap=True, markup=False)
    files = ", ".join(tuning.files)
    stdout.print(
        f"written to {folder}: report.md, {FILE}, {JOURNAL}; for the server: {files}", soft_wrap=True, markup=False
    )
    if outcome.better:
        stdout.print("next, beside the defaults: loadtest compare --tuned", soft_wrap=True, markup=False)
