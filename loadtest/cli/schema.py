"""``loadtest schema``: the JSON Schema of what the other commands write."""

import click

from loadtest.judge.capacity_result import Capacity
from loadtest.judge.entry_lines import entry_schema
from loadtest.judge.result_file import ResultFile
from loadtest.judge.run_result import RunResult
from loadtest.judge.tuning_result import Tuning
from loadtest.records import json_schema, to_json
from loadtest.report.difference import Differences
from loadtest.resilience.soak_file import SAMPLES, SoakFile, line_schema

RECORDS: dict[str, type] = {
    "compare": ResultFile,
    "run": RunResult,
    "capacity": Capacity,
    "diff": Differences,
    "tune": Tuning,
    "soak": SoakFile,
}


LINES = {"runs.jsonl": entry_schema, SAMPLES: line_schema}
"""What `compare` and `soak` write while they measure."""


@click.command()
@click.argument("command", type=click.Choice([*RECORDS, *LINES]))
def schema(command: str) -> None:
    """Print the JSON Schema (draft 2020-12) of what COMMAND writes as JSON, or of a line that it writes."""
    click.echo(to_json(LINES[command]() if command in LINES else json_schema(RECORDS[command])), nl=False)
