"""``loadtest resilience``: how servers hold under fire."""

from pathlib import Path

import click

from loadtest.cli.common import LaunchOptions, launch_options, servers_option, workload_option
from loadtest.cli.parts_run import out_option, quick_option, try_parts
from loadtest.resilience.parts import PARTS, Plans


@click.command()
@servers_option
@quick_option
@out_option
@workload_option
@launch_options
def resilience(servers: str | None, quick: bool, out: Path, workload: str, launch: LaunchOptions) -> None:
    """Too much load, a new version, processes that end, clients that leave, hostile requests: what each server does."""
    try_parts(list(PARTS), servers, workload, Plans.quick() if quick else Plans(), out, launch)
