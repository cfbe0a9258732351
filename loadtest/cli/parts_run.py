"""What `resilience` and the commands of its parts do: try out parts, keep resilience.json, show what was found."""

import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import click

from loadtest.cli.common import (
    LaunchOptions,
    chosen,
    following,
    launch_options,
    servers_option,
    status,
    stderr,
    stdout,
    workload_option,
)
from loadtest.cli.gate import report_folder
from loadtest.errors import LoadtestError, UsageError
from loadtest.launch.launcher import LOCAL, Launcher
from loadtest.machine.files import check_writable
from loadtest.report import write_resilience_report
from loadtest.report.fire_table import rich_tables
from loadtest.report.wording import told
from loadtest.resilience.parts import PARTS, Plans, Trial, next_version
from loadtest.resilience.resilience_file import (
    RESILIENCE,
    Resilience,
    ResilienceFile,
    read_resilience,
    write_resilience,
)
from loadtest.servers.server_folder import Server

out_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="results/resilience",
    show_default=True,
    help=f"Folder of {RESILIENCE} and of the page; that of a comparison adds the section to its page.",
)
quick_option = click.option("--quick", is_flag=True, help="Shorter: a first look, no figures to quote.")


def part_command(names: Sequence[str], name: str, told: str) -> click.Command:
    """A command that tries parts out.

    Args:
        names: Which parts.
        name: Of the command.
        told: Its help.
    """

    @click.command(name, help=told)
    @servers_option
    @quick_option
    @out_option
    @workload_option
    @launch_options
    def command(servers: str | None, quick: bool, out: Path, workload: str, launch: LaunchOptions) -> None:
        try_parts(names, servers, workload, Plans.quick() if quick else Plans(), out, launch)

    return command


def try_parts(
    names: Sequence[str], servers: str | None, workload: str, plans: Plans, out: Path, launch: LaunchOptions
) -> None:
    """Try parts out on servers, one after the other, and keep what is found after each.

    Args:
        names: Which parts.
        servers: The option ``--servers``.
        workload: Which model.
        plans: How each part is tried out.
        out: Folder of resilience.json.
        launch: How servers are started.

    Raises:
        UsageError: If something cannot be used as given.
        Exit: With code 1 where a part could not be tried out on a server.
    """
    wanted = chosen(servers)
    after = next_version(workload) if "rollout" in names else None
    with report_folder(out):
        check_writable(out / RESILIENCE)
    launcher = launch.launcher(workload)
    path = out / RESILIENCE
    file = ResilienceFile.begun_now(launcher, sys.argv[1:], servers=_kept(path, workload, launcher.name))
    failed = False
    with contextlib.closing(launcher), status("starting") as show:
        for server in wanted:
            found = file.servers.get(server.key) or Resilience(server.label)
            for name in names:
                what = f"{server.label}: {name}"
                trial = Trial(launcher, after, plans, _saying(show, what), following(show, what))
                try:
                    found = found.with_part(name, PARTS[name](trial, server))
                except LoadtestError as error:
                    found = found.with_fault(name, str(error))
                    stderr.print(f"{server.key}, {name}: {told(error)}", style="red", markup=False)
                    failed = True
                found = _named(found, server, launcher)
                file = replace(file, servers={**file.servers, server.key: found})
                write_resilience(file, out)
    for table in rich_tables({key: one for key, one in file.servers.items() if key in {s.key for s in wanted}}):
        stdout.print(table)
    for written in (path, *write_resilience_report(out, out)):
        stdout.print(f"written: {written}", markup=False)
    if failed:
        raise click.exceptions.Exit(1)


def _kept(path: Path, workload: str, launcher: str) -> dict[str, Resilience]:
    """What an earlier command found of the same model with the same launcher, which its other parts are added to.

    Raises:
        UsageError: If the file is of another model or launcher.
    """
    if not path.is_file():
        return {}
    file = read_resilience(path)
    if (file.workload, file.launcher.get("launcher", LOCAL)) != (workload, launcher):
        raise UsageError(f"{path} is of {file.workload} with another launcher or model: name another folder with --out")
    return dict(file.servers)


def _named(found: Resilience, server: Server, launcher: Launcher) -> Resilience:
    """What was found of a server under the name of what was started, which is known once it was."""
    label = launcher.label(server)
    return replace(found, label=label, stands_in_for=server.stood_in_for(label))


def _saying(show: Callable[[str], None], what: str) -> Callable[[str], None]:
    return lambda line: show(f"{what}, {line}")
