"""``loadtest check``: do the servers give the golden answers?"""

import click

from loadtest.cli.common import (
    LaunchOptions,
    chosen,
    launch_options,
    reachable,
    servers_option,
    stdout,
    workload_option,
)
from loadtest.errors import LaunchError, ParityError
from loadtest.experiments.parity import check_parity
from loadtest.wire.formats import takes


@click.command()
@servers_option
@workload_option
@launch_options
def check(servers: str | None, workload: str, launch: LaunchOptions) -> None:
    """Send every golden input through every real endpoint in every wire format; exit 0 only if all answers agree."""
    wanted = chosen(servers)
    launcher = launch.launcher(workload, published=True)
    agreed = True
    for server in wanted:
        try:
            wires = [wire for wire in server.wires if takes(wire, launcher.artifact)]
            with reachable(server, launcher) as running:
                label, parity = running.label, check_parity(running, launcher.artifact, wires)
        except (LaunchError, ParityError) as error:
            agreed = False
            stdout.print(f"[red]FAILED[/red]  {server.label}: {error}")
            continue
        agreed = agreed and parity.agrees
        verdict = "[green]agrees[/green]" if parity.agrees else "[red]DIFFERS[/red]"
        stdout.print(
            f"{verdict}  {label}: {parity.checked} predictions, "
            f"largest difference {parity.worst:.1e} (allowed {parity.tolerance:g})"
        )
        for fault in parity.faults[:5]:
            stdout.print(f"         {fault}")
        if len(parity.faults) > 5:
            stdout.print(f"         … and {len(parity.faults) - 5} more")
    if not agreed:
        raise click.exceptions.Exit(1)
