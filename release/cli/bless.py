"""``python -m models bless``: do the real servers take a model?"""

from collections.abc import Sequence
from pathlib import Path

import click

from loadtest.launch.launcher import LOCAL
from loadtest.machine.placement import choose_placement
from loadtest.servers.server_folder import Server
from release.blessing import BLESSED, FOLDER, NOT_BLESSED, Blessing, write_blessing
from release.candidate import Candidate
from release.cli.options import (
    HELP,
    Command,
    artifact_option,
    candidates,
    chosen,
    servers_option,
    timeout_option,
    workload_argument,
)
from release.infra_start import InfraStart, ProcessStart
from release.infra_validation import validate


@click.command("bless", cls=Command, context_settings=HELP)
@workload_argument
@servers_option
@artifact_option
@timeout_option
@click.option(
    "--launcher",
    type=click.Choice((LOCAL, "compose")),
    default=LOCAL,
    show_default=True,
    help="Processes of this machine, or containers beside the stack, with the images and limits of compose.yaml and "
    ".env.",
)
def bless_command(
    workload: str | None, servers: str | None, artifact: Path | None, start_timeout: float, launcher: str
) -> None:
    """Start each real server on WORKLOAD, or on every built one: does it load, and does it answer rightly?

    Writes INFRA_BLESSED or INFRA_NOT_BLESSED with the reasons for each server into the artifact. Exit 0 only if every
    server that was asked blesses it.
    """
    wanted = chosen(servers)
    verdicts = [
        one
        for candidate in candidates(workload, artifact)
        for one in bless_all(candidate, wanted, _start(launcher, candidate, start_timeout))
    ]
    if not all(one.blessed for one in verdicts):
        raise click.exceptions.Exit(1)


def bless_all(candidate: Candidate, servers: Sequence[Server], start: InfraStart) -> list[Blessing]:
    """Validate a candidate under each server, write each verdict and print it.

    Raises:
        UsageError: If one of the servers cannot be started in this way; none was, then.
    """
    for server in servers:
        start.limits(server)
    verdicts = []
    for server in servers:
        verdict = validate(server, candidate, start)
        write_blessing(candidate, verdict)
        verdicts.append(verdict)
        click.echo(f"{verdict.verdict:<{len(NOT_BLESSED)}}  {summary(verdict)}")
        for reason in verdict.reasons:
            click.echo(f"{'':<{len(NOT_BLESSED)}}    {reason}")
    blessed = sum(one.blessed for one in verdicts)
    click.echo(f"{candidate.name}: {BLESSED} by {blessed} of {len(verdicts)}: {candidate.folder / FOLDER}")
    return verdicts


def _start(launcher: str, candidate: Candidate, timeout_s: float) -> InfraStart:
    if launcher == LOCAL:
        return ProcessStart(candidate.artifact, choose_placement(pin=True), timeout_s)
    # Imported here, since the Docker SDK takes time that the other launcher need not spend.
    from release.infra_container import ContainerStart

    return ContainerStart(candidate.artifact, timeout_s, lambda line: click.echo(line, err=True))


def summary(verdict: Blessing) -> str:
    """What was seen of one server, in a line."""
    seen = [f"loaded in {verdict.load_s:.1f} s"] if verdict.load_s == verdict.load_s else ["not loaded"]
    if verdict.golden:
        seen.append(
            f"{verdict.golden} golden and {verdict.smoke} smoke predictions over {', '.join(verdict.wires)}, largest "
            f"difference {verdict.largest_difference:.1e} (allowed {verdict.tolerance:g})"
        )
    return f"{verdict.label}: {'; '.join(seen)}"
