"""``loadtest setup``: how much work is it to put a model on the air?"""

from dataclasses import replace
from pathlib import Path

import click

from loadtest.cli.common import LaunchOptions, chosen, launch_options, servers_option, status, stdout, workload_option
from loadtest.cli.numbers import Number
from loadtest.errors import UsageError
from loadtest.machine.files import check_writable
from loadtest.report.setup_table import rich_tables
from loadtest.servers.server_toml import load_servers
from loadtest.setup.measure_setup import measure_setup
from loadtest.setup.setup_file import write_setup
from loadtest.setup.setup_plan import MOST_REPEATS, SetupPlan
from loadtest.setup.weighted_sum import read_weights, weigh

FILE = "setup.json"


@click.command()
@servers_option
@workload_option
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
    workload: str,
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
    launcher = launch.launcher(workload)
    with status("counting") as show:
        measured = measure_setup(wanted, load_servers(), launcher, plan, show)
    if weighed:
        measured = replace(measured, weighted=weigh(measured.servers, weighed))
    for path in paths:
        write_setup(measured, path)
    for part in rich_tables(measured):
        stdout.print(part)
    for path in paths:
        stdout.print(f"written: {path}", markup=False)
    if any(server.faults for server in measured.servers.values()):
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
