"""``python -m models bless``: do the real servers take a model?"""

from collections.abc import Sequence
from pathlib import Path

import click

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
from release.infra_validation import validate


@click.command("bless", cls=Command, context_settings=HELP)
@workload_argument
@servers_option
@artifact_option
@timeout_option
def bless_command(workload: str | None, servers: str | None, artifact: Path | None, start_timeout: float) -> None:
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
