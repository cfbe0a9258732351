"""``loadtest schema``: the JSON Schema of what the other commands write."""

import click

from loadtest.judge.capacity_result import Capacity
from loadtest.judge.entry_lines import entry_schema
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


LINES = "runs.jsonl"
"""What `compare` writes while it measures."""


@click.command()
@click.argument("command", type=click.Choice([*RECORDS, LINES]))
def schema(command: str) -> None:
    """Print the JSON Schema (draft 2020-12) of what COMMAND writes as JSON, or of a line of runs.jsonl."""
    click.echo(to_json(entry_schema() if command == LINES else json_schema(RECORDS[command])), nl=False)
