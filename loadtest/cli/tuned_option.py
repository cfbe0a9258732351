"""``--tuned`` of ``compare``: the configurations that ``loadtest tune`` left, each beside its default."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from loadtest.cli.common import LaunchOptions, stdout
from loadtest.errors import UsageError
from loadtest.experiments.tuned_servers import ROOM, with_tuned
from loadtest.machine.placement import choose_placement
from loadtest.servers.artifact import load_artifact
from loadtest.servers.server_folder import Server
from loadtest.setup.software_versions import software_versions


def tuned_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the two options; the command gets them as ``tuned`` and ``tuned_room``."""
    command = click.option(
        "--tuned-from",
        "tuned_room",
        type=click.Path(path_type=Path),
        help=f"Folder of the tuned configurations, which asks for them too; default: {ROOM}.",
    )(command)
    return click.option(
        "--tuned", is_flag=True, help="Beside each default its configuration that `loadtest tune` found."
    )(command)


def add_tuned(
    servers: Sequence[Server], room: Path | None, models: Sequence[str], launch: LaunchOptions
) -> list[Server]:
    """The servers, each with its tuned form after it; what has none is told.

    Raises:
        UsageError: If there are several models, the servers are no processes of this machine, or no configuration fits.
    """
    if launch.how != "local":
        raise UsageError(
            f"--tuned starts servers with flags and files of their own, which --launcher {launch.how} does not: use "
            "--launcher local; docs/tuning.md says how containers take the same files"
        )
    if len(models) > 1:
        raise UsageError("--tuned takes one model, since each is tuned for itself: name it with --workload")
    cores = choose_placement(pin=launch.pin).server_threads
    found = with_tuned(servers, room or ROOM, load_artifact(models[0]), cores, software_versions)
    for remark in found.remarks:
        stdout.print(remark, soft_wrap=True, markup=False)
    return found.servers
