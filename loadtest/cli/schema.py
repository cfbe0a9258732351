"""``loadtest schema``: the JSON Schema of what the other commands write."""

import click

from loadtest.judge.capacity_result import Capacity
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.run_result import RunResult
from loadtest.records import json_schema, to_json
from loadtest.report.difference import Difference

RECORDS: dict[str, type] = {
    "compare": ComparisonResult,
    "run": RunResult,
    "capacity": Capacity,
    "diff": Difference,
}


@click.command()
@click.argument("command", type=click.Choice(list(RECORDS)))
def schema(command: str) -> None:
    """Print the JSON Schema (draft 2020-12) of what COMMAND writes as JSON."""
    click.echo(to_json(json_schema(RECORDS[command])), nl=False)
