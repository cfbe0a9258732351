"""``loadtest report``: render a result again, and hold it against thresholds."""

from collections.abc import Sequence
from pathlib import Path

import click

from loadtest.cli.common import stdout
from loadtest.cli.gate import Gate, gate_options, report_folder
from loadtest.errors import UsageError
from loadtest.report import holds_fire, write_report, write_resilience_report
from loadtest.report.reading import holds_comparison, read_results


@click.command()
@click.argument("result", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the report; default: that of the result.")
@click.option("--open", "show", is_flag=True, help="Open the page in the browser.")
@gate_options
def report(
    result: Path,
    out: Path | None,
    show: bool,
    assertions: Sequence[str],
    assert_file: Path | None,
    junit_file: Path | None,
) -> None:
    """Write report.html and report.md from RESULT, a result.json or its folder."""
    folder = out or (result if result.is_dir() else result.parent)
    if holds_fire(result) and not holds_comparison(result):
        if assertions or assert_file:
            raise UsageError(f"{result} holds no comparison, so there is nothing for a threshold to be held against")
        with report_folder(folder):
            _written(*write_resilience_report(result, folder), show=show)
        return
    results = read_results(result)
    comparisons = results.comparisons.values()
    keys = list(dict.fromkeys(key for one in comparisons for key in one.names))
    gate = Gate.read(
        assertions,
        assert_file,
        junit_file,
        {name: list(one.names) for name, one in results.comparisons.items()} | dict.fromkeys(results.unmeasured, keys),
        searched=any(one.plan.slo for one in comparisons),
    )
    with report_folder(folder):
        _written(*write_report(results, folder), show=show)
    if not gate.passed(results):
        raise click.exceptions.Exit(1)


def _written(page: Path, text: Path, *, show: bool) -> None:
    stdout.print(f"written: {page} and {text}", markup=False)
    if show:
        click.launch(page.absolute().as_uri())
