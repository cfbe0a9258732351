"""``loadtest setup``: how much work is it to put a model on the air?"""

import contextlib
from dataclasses import replace
from pathlib import Path

import click

from loadtest.cli.common import (
    LaunchOptions,
    chosen,
    chosen_workloads,
    launch_options,
    servers_option,
    status,
    stdout,
    workloads_option,
)
from loadtest.cli.numbers import Number
from loadtest.errors import UsageError
from loadtest.machine.files import check_writable
from loadtest.report.setup_table import rich_tables
from loadtest.servers.server_toml import load_servers
from loadtest.setup.measure_setup import measure_setup
from loadtest.setup.setup_file import EaseOfSetup, write_setups
from loadtest.setup.setup_plan import MOST_REPEATS, SetupPlan
from loadtest.setup.weighted_sum import read_weights, weigh

FILE = "setup.json"


@click.command()
@servers_option
@workloads_option
@click.option(
    "--repeat",
    type=Number(int, 1, MOST_REPEATS, "times"),
    default=SetupPlan.repeat,
    show_default=True,
    help="Warm starts of each server.",
)
@click.option("--probe/--no-probe", default=True, show_default=True, help="Try the capabilities out.")
@click.option("--quick", is_flag=True, help="Only the capabilities that need no further start of the server.")
@click.option("--cold", is_flag=True, help="Install, or build, from nothing too: minutes and gigabytes.")
@click.option("--clean-cache", is_flag=True, help="With --cold: nothing from the caches of pip or the image builder.")
@click.option("--weights", type=click.Path(path_type=Path), help="TOML file of your weights, for a weighted sum.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write everything, with the evidence, here.")
@click.option("--out", type=click.Path(path_type=Path), help=f"Write it to {FILE} in this folder, for the report.")
@launch_options
def setup(
    servers: str | None,
    workloads: str,
    repeat: int,
    probe: bool,
    quick: bool,
    cold: bool,
    clean_cache: bool,
    weights: Path | None,
    file: Path | None,
    out: Path | None,
    launch: LaunchOptions,
) -> None:
    """Measure ease of setup: time to the first correct answer, size, what one writes, what runs, what it can do."""
    if quick and not probe:
        raise UsageError("--quick is a form of the probes, which --no-probe leaves out")
    plan = SetupPlan(repeat, ("quick" if quick else "full") if probe else "none", cold, clean_cache)
    weighed = read_weights(weights) if weights else None
    wanted = chosen(servers)
    paths = [path for path in (file, out and out / FILE) if path]
    for path in paths:
        _check_writable(path)
    launchers = launch.launchers(chosen_workloads(workloads))
    measurements: list[EaseOfSetup] = []
    for model, launcher in launchers.items():
        # What the servers can do, and how long they take to install, is the same with every model.
        one = replace(plan, probes="none", cold=False) if measurements else plan
        with contextlib.closing(launcher), status(f"{model}: counting") as show:
            measured = measure_setup(wanted, load_servers(), launcher, one, show)
        if weighed:
            measured = replace(measured, weighted=weigh(measured.servers, weighed))
        measurements.append(measured)
        for path in paths:
            write_setups(measurements, path)
    for measured in measurements:
        if len(measurements) > 1:
            stdout.print(f"{measured.workload.name} v{measured.workload.version}", style="bold", markup=False)
        for part in rich_tables(measured):
            stdout.print(part)
    for path in paths:
        stdout.print(f"written: {path}", markup=False)
    if any(server.faults for measured in measurements for server in measured.servers.values()):
        raise click.exceptions.Exit(1)


def _check_writable(path: Path) -> None:
    """Know before minutes of work, and not after, that the result cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {path.parent}: {error.strerror}; name another folder") from error
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file, or use --out {path}")
    check_writable(path)
