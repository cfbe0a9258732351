"""``loadtest hostile``: what do servers make of requests that nobody should send?"""

from functools import partial

import click

from loadtest.cli.common import (
    LaunchOptions,
    check_writable,
    chosen,
    launch_options,
    reachable,
    servers_option,
    status,
    stdout,
    workload_option,
    write_record,
)
from loadtest.errors import LaunchError, ParityError, UsageError
from loadtest.launch.launcher import LOCAL
from loadtest.report.hostile_table import rich_hostile
from loadtest.resilience.hostile.result import HostileResult
from loadtest.resilience.hostile.run import run_hostile
from loadtest.resilience.hostile.table import GRPC, WIRES, hostile_table
from loadtest.servers.server_folder import Server


@click.command()
@servers_option
@click.option(
    "--wire",
    type=click.Choice(WIRES),
    default=None,
    help="Only over this one. Default: over each that a server speaks.",
)
@workload_option
@click.option("--quick", is_flag=True, help="A representative part: some 15 s for each server and wire.")
@click.option("--json", "file", default=None, metavar="FILE", help="Write every answer here; - for standard output.")
@launch_options
def hostile(
    servers: str | None, wire: str | None, workload: str, quick: bool, file: str | None, launch: LaunchOptions
) -> None:
    """Send hostile requests, byte by byte, and look whether the servers live and answer rightly afterwards.

    Code of this project has to refuse each of them with a reason. What the other servers do is told.
    """
    wanted = [(server, one) for server in chosen(servers) for one in _wires(server, wire)]
    if not wanted:
        raise UsageError(f"none of these servers speaks {wire}: leave --wire out, or name another server")
    check_writable(file)
    launcher = launch.launcher(workload, published=True)
    results: list[HostileResult] = []
    failed = False
    for server, over in wanted:
        restart = partial(launcher.start, server) if launcher.name == LOCAL and not launcher.find(server) else None
        try:
            with reachable(server, launcher) as running, status(f"{server.label} over {over}") as show:
                table = hostile_table(running, over, quick=quick)
                result = run_hostile(running, over, table, restart=restart, show=show)
        except (LaunchError, ParityError) as error:
            failed = True
            stdout.print(f"[red]FAILED[/red]  {server.label}: ", end="")
            stdout.print(str(error), markup=False)
            continue
        results.append(result)
        failed = failed or bool(result.failures)
        if file != "-":
            for part in rich_hostile(result):
                stdout.print(part)
        if file is not None and file != "-":
            write_record(file, results)
    if file == "-":
        write_record(file, results)
    if failed:
        raise click.exceptions.Exit(1)


def _wires(server: Server, wire: str | None) -> list[str]:
    """The wires of a server to be hostile over."""
    spoken = [one for one in WIRES if one != GRPC or GRPC in server.wires]
    return [one for one in spoken if wire in (None, one)]
