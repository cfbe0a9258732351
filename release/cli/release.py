"""``python -m models release``: the whole line for a model, with a page of how it went."""

import shlex
import sys
from pathlib import Path

import click

from release.cli.options import (
    HELP,
    Command,
    assert_option,
    chosen,
    drop_option,
    keep_option,
    named,
    now,
    servers_option,
    target_option,
    timeout_option,
    workload_argument,
)
from release.errors import ReleaseError
from release.pipeline import Plan, begin, release
from release.summary_page import check_writable, write_summary


@click.command("release", cls=Command, context_settings=HELP)
@workload_argument
@target_option
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder of the summary. Default: results/release-…"
)
@servers_option
@keep_option
@drop_option
@assert_option
@timeout_option
def release_command(
    workload: str | None,
    target: Path,
    out: Path | None,
    servers: str | None,
    keep: int,
    max_drop: float,
    limits: tuple[str, ...],
    start_timeout: float,
) -> None:
    """Build, check, bless, measure and push WORKLOAD, or every built one, and write a page of how it went.

    Stops at the first step that does not pass, with exit code 1; the page says which and why.
    """
    wanted = chosen(servers)
    folder = out or Path("results") / f"release-{now()}"
    failed = False
    for name in named(workload):
        plan = Plan(
            workload=name,
            target=target,
            servers=wanted,
            limits=limits,
            keep=keep,
            max_drop=max_drop,
            timeout_s=start_timeout,
            out=folder if workload else folder / name,
            command=shlex.join(["python", "-m", "models", *sys.argv[1:]]),
        )
        summary = begin(plan)
        check_writable(plan.out)
        try:
            release(plan, summary, click.echo)
        except ReleaseError:  # the step that stopped it says why
            failed = True
        finally:
            page = write_summary(summary, plan.out)
            stopped = f": {summary.stopped.lines[-1]}" if summary.stopped else ""
            click.echo(f"{summary.title}{stopped}\nwritten: {page}")
    if failed:
        raise click.exceptions.Exit(1)
