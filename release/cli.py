"""What a person types: ``python -m models bless``. Only this module prints and exits."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from loadtest.errors import LoadtestError
from loadtest.machine.placement import choose_placement
from loadtest.report.wording import told
from loadtest.servers.artifact import built_workloads
from loadtest.servers.server_folder import Server
from loadtest.servers.server_toml import load_servers, select_servers
from release.blessing import BLESSED, FOLDER, NOT_BLESSED, Blessing, write_blessing
from release.candidate import Candidate, read_candidate
from release.errors import ReleaseError
from release.infra_validation import validate

START_S = 120.0


class _Command(click.Command):
    """A command whose foreseeable failures are those of `models`: one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LoadtestError as error:
            raise ReleaseError(told(error)) from error


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


@click.command("bless", cls=_Command, context_settings={"help_option_names": ["-h", "--help"]})
@workload_argument
@servers_option
@artifact_option
@timeout_option
def bless(workload: str | None, servers: str | None, artifact: Path | None, start_timeout: float) -> None:
    """Start each real server on WORKLOAD, or on every built one: does it load, and does it answer rightly?

    Writes INFRA_BLESSED or INFRA_NOT_BLESSED with the reasons for each server into the artifact. Exit 0 only if every
    server that was asked blesses it.
    """
    wanted = chosen(servers)
    verdicts = [
        one for candidate in candidates(workload, artifact) for one in bless_all(candidate, wanted, start_timeout)
    ]
    if not all(one.blessed for one in verdicts):
        raise click.exceptions.Exit(1)


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
    names = [workload] if workload else built_workloads()
    if not names:
        raise ReleaseError("nothing is built yet: python -m models build")
    return [read_candidate(name) for name in names]


def bless_all(candidate: Candidate, servers: Sequence[Server], timeout_s: float) -> list[Blessing]:
    """Validate a candidate under each server, write each verdict and print it."""
    placement = choose_placement(pin=True)
    verdicts = []
    for server in servers:
        verdict = validate(server, candidate, placement, timeout_s=timeout_s)
        write_blessing(candidate, verdict)
        verdicts.append(verdict)
        click.echo(f"{verdict.verdict:<{len(NOT_BLESSED)}}  {summary(verdict)}")
        for reason in verdict.reasons:
            click.echo(f"{'':<{len(NOT_BLESSED)}}    {reason}")
    blessed = sum(one.blessed for one in verdicts)
    click.echo(f"{candidate.name}: {BLESSED} by {blessed} of {len(verdicts)}: {candidate.folder / FOLDER}")
    return verdicts


def summary(verdict: Blessing) -> str:
    """What was seen of one server, in a line."""
    seen = [f"loaded in {verdict.load_s:.1f} s"] if verdict.load_s == verdict.load_s else ["not loaded"]
    if verdict.golden:
        seen.append(
            f"{verdict.golden} golden and {verdict.smoke} smoke predictions over {', '.join(verdict.wires)}, largest "
            f"difference {verdict.largest_difference:.1e} (allowed {verdict.tolerance:g})"
        )
    return f"{verdict.label}: {'; '.join(seen)}"
