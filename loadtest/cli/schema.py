"""``loadtest schema``: the JSON Schema of what the other commands write."""

import click

from loadtest.judge.capacity_result import Capacity
from loadtest.judge.result_file import ResultFile
from loadtest.judge.run_result import RunResult
from loadtest.judge.tuning_result import Tuning
from loadtest.records import json_schema, to_json
from loadtest.report.difference import Differences

RECORDS: dict[str, type] = {
    "compare": ResultFile,
    "run": RunResult,
    "capacity": Capacity,
    "diff": Differences,
    "tune": Tuning,
}


@click.command()
@click.argument("command", type=click.Choice(list(RECORDS)))
def schema(command: str) -> None:
    """Print the JSON Schema (draft 2020-12) of what COMMAND writes as JSON."""
    click.echo(to_json(json_schema(RECORDS[command])), nl=False)
