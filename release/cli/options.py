"""What several commands share: their options, their errors, and which models and servers they mean."""

import datetime
from pathlib import Path
from typing import Any

import click

from loadtest.errors import LoadtestError
from loadtest.report.wording import told
from loadtest.servers.artifact import built_workloads
from loadtest.servers.server_folder import Server
from loadtest.servers.server_toml import load_servers, select_servers
from release.candidate import Candidate, read_candidate
from release.errors import ReleaseError
from release.push import KEEP

START_S = 120.0

HELP = {"help_option_names": ["-h", "--help"]}

workload_argument = click.argument("workload", required=False)

servers_option = click.option(
    "--servers", metavar="A,B", help="Servers, comma-separated; NAME:VARIANT for a variant. Default: all."
)

artifact_option = click.option(
    "--artifact",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the artifact, such as artifacts/next/digits/2. Default: the newest version of WORKLOAD.",
)

timeout_option = click.option(
    "--start-timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=START_S,
    show_default=True,
    help="Seconds that a server may take to load the model.",
)

target_option = click.option(
    "--to", "target", required=True, type=click.Path(path_type=Path), help="Folder that the servers read models from."
)

keep_option = click.option(
    "--keep", type=click.IntRange(2), default=KEEP, show_default=True, help="Versions that stay; the older ones go."
)

drop_option = click.option(
    "--max-drop",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="How much worse than the pushed version the quality on held-out examples may be.",
)

assert_option = click.option(
    "--assert",
    "limits",
    multiple=True,
    metavar="'SERVER.METRIC<LIMIT'",
    help="A limit as of loadtest compare, such as 'flask_server.p99<20ms'; repeatable.",
)


class Command(click.Command):
    """A command whose foreseeable failures are those of `models`: one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        try:
            return super().invoke(ctx)
        except LoadtestError as error:
            raise ReleaseError(told(error)) from error


def chosen(servers: str | None) -> list[Server]:
    """The servers that the option names."""
    return select_servers(servers, load_servers())


def candidates(workload: str | None, folder: Path | None) -> list[Candidate]:
    """The artifact that the options name, or the newest one of every workload that is built.

    Raises:
        ReleaseError: If both are named, or nothing is built.
    """
    if folder is not None:
        found = read_candidate("", folder)
        if workload not in (None, found.artifact.workload):
            raise ReleaseError(f"{folder} holds {found.artifact.workload}, not {workload}: name one of them")
        return [found]
    return [read_candidate(name) for name in named(workload)]


def named(workload: str | None) -> list[str]:
    """The workload that was named, or every one that is built.

    Raises:
        ReleaseError: If nothing is built.
    """
    names = [workload] if workload else built_workloads()
    if not names:
        raise ReleaseError("nothing is built yet: python -m models build")
    return names


def now() -> str:
    """The time as a part of a folder's name, UTC."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
