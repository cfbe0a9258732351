"""``python -m models push``: a blessed model goes to where servers read it, or back."""

from collections.abc import Sequence
from pathlib import Path

import click

from loadtest.servers.server_folder import Server
from release.candidate import Candidate
from release.cli.options import (
    HELP,
    Command,
    artifact_option,
    assert_option,
    candidates,
    chosen,
    drop_option,
    keep_option,
    now,
    servers_option,
    target_option,
    workload_argument,
)
from release.errors import ReleaseError
from release.latency_gate import check_limits, judge, measure
from release.push import Gate, Pushed, no_gate, push
from release.push_target import open_target
from release.telling import how_to_tell

result_option = click.option(
    "--result",
    type=click.Path(exists=True, path_type=Path),
    help="Result of loadtest compare on this very artifact, for --assert. Default: a short comparison is made.",
)


@click.command("push", cls=Command, context_settings=HELP)
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
    out = Path("results") / f"gate-{candidate.artifact.workload}-{now()}"
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
