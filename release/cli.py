"""What a person types: ``python -m models bless|push``. Only this module prints and exits."""

import datetime
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
from release.latency_gate import check_limits, judge, measure
from release.push import KEEP, Gate, Pushed, no_gate, push
from release.push_target import open_target
from release.telling import how_to_tell

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
result_option = click.option(
    "--result",
    type=click.Path(exists=True, path_type=Path),
    help="Result of loadtest compare on this very artifact, for --assert. Default: a short comparison is made.",
)


@click.command("bless", cls=_Command, context_settings={"help_option_names": ["-h", "--help"]})
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


@click.command("push", cls=_Command, context_settings={"help_option_names": ["-h", "--help"]})
@workload_argument
@target_option
@servers_option
@artifact_option
@keep_option
@drop_option
@assert_option
@result_option
@click.option("--rollback", is_flag=True, help="Take the newest version of WORKLOAD away again, and push nothing.")
def push_command(
    workload: str | None,
    target: Path,
    servers: str | None,
    artifact: Path | None,
    keep: int,
    max_drop: float,
    limits: tuple[str, ...],
    result: Path | None,
    rollback: bool,
) -> None:
    """Push WORKLOAD, or every built one, as the next version, if it is blessed for all servers and no worse."""
    wanted = chosen(servers)
    if rollback:
        if workload is None:
            raise ReleaseError("--rollback takes one model's newest version away: name the model")
        roll_back(workload, target, wanted)
        return
    for candidate in candidates(workload, artifact):
        with open_target(target, candidate.artifact.workload) as opened:
            gate = latency_gate(limits, candidate, wanted, result)
            pushed = push(candidate, opened, [one.key for one in wanted], keep=keep, max_drop=max_drop, gate=gate)
        for line in pushed_lines(candidate, pushed, wanted):
            click.echo(line)


def roll_back(workload: str, folder: Path, servers: Sequence[Server]) -> None:
    """Take the newest version away and say how servers come back to the one before."""
    if not folder.is_dir():
        raise ReleaseError(f"{folder} is not there, so there is nothing to go back to")
    with open_target(folder, workload) as opened:
        gone, newest = opened.withdraw()
    click.echo(f"{workload}: version {gone} is taken away, version {newest} is the newest: {opened.folder(newest)}")
    for server in servers:
        click.echo(f"  {how_to_tell(server, workload, gone, newest)}")


def latency_gate(limits: Sequence[str], candidate: Candidate, servers: Sequence[Server], result: Path | None) -> Gate:
    """The gate that the options ask for; what cannot be read is said before anything is done.

    Raises:
        UsageError: If a limit cannot be read.
        ReleaseError: If there is a result and no limit.
    """
    if not limits:
        if result:
            raise ReleaseError("--result is held against limits: add --assert")
        return no_gate
    if result:
        return lambda one: judge(limits, one, result)
    keys = [server.key for server in servers]
    check_limits(limits, candidate.artifact.workload, keys)
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    out = Path("results") / f"gate-{candidate.artifact.workload}-{now}"
    return lambda one: measure(limits, one, keys, out)


def pushed_lines(candidate: Candidate, pushed: Pushed, servers: Sequence[Server]) -> list[str]:
    """What became of a push, and what is to be done with servers that run."""
    record = pushed.record
    if not pushed.made:
        return [f"{candidate.name} is version {record.version} already, the newest: {pushed.folder}"]
    lines = [
        f"{candidate.name} pushed as version {record.version}: {pushed.folder}",
        f"  blessed by {', '.join(record.blessed_by.values())}",
        *(f"  {line}" for line in record.gate),
    ]
    if pushed.removed:
        lines.append(f"  taken away: version {', '.join(map(str, pushed.removed))}")
    if pushed.before is not None:
        lines += [f"  {how_to_tell(server, record.workload, pushed.before, record.version)}" for server in servers]
    return lines


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
