"""``loadtest rollout``: one part of ``loadtest resilience``."""

from pathlib import Path

import click

from loadtest.cli.common import LaunchOptions, launch_options, servers_option, workload_option
from loadtest.cli.parts_run import out_option, quick_option, try_parts
from loadtest.resilience.parts import Plans


@click.command()
@servers_option
@quick_option
@out_option
@workload_option
@launch_options
def rollout(servers: str | None, quick: bool, out: Path, workload: str, launch: LaunchOptions) -> None:
    """Replace the model by its next version under load, and back; then try broken versions."""
    try_parts(["rollout"], servers, workload, Plans.quick() if quick else Plans(), out, launch)
