"""Write the README's tables from the result files that they name: scripts/readme [--check].

A block begins with ``<!-- latency FOLDER -->``, of several comparisons with ``<!-- latency FOLDER imagenet -->``, or
with ``<!-- setup FOLDER -->``, and ends with ``<!-- /latency -->`` or ``<!-- /setup -->``; what stands between the two
is written here, from FOLDER's result.json or setup.json.
"""

import re
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from loadtest.report.answer import conditions
from loadtest.report.reading import RESULT, SETUP, read_results
from loadtest.report.setup_table import IDLE_ROWS, SIZE_ROWS, STAGES, WRITTEN_ROWS, spread_of
from loadtest.report.setup_wording import answer_of
from loadtest.report.table import markdown_rows, markdown_table
from loadtest.setup.server_setup import ServerSetup
from loadtest.setup.setup_file import read_setups

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"(<!-- (latency|setup) (\S+)(?: (\S+))? -->\n).*?(<!-- /\2 -->)", re.DOTALL)
CAPABILITIES = ("grpc", "batching", "versions", "hot_swap", "metrics", "graceful_shutdown", "auth")
"""Those of the capabilities that the README tells; the page tells all."""


def latency(folder: Path, name: str | None) -> str:
    """The table of a comparison, and below it how it was measured."""
    results = read_results(folder / RESULT)
    result = results.comparisons[name] if name else results.only.comparison
    runs = [run for server in result.servers for _, run in server.runs]
    valid = sum(run.verdict.valid for run in runs)
    return (
        f"{markdown_table(result)}\n\n"
        f"Measured on {result.started_at[:10]} by `loadtest {shlex.join(result.command)}`: {conditions(result)}; "
        f"{valid} of {len(runs)} runs valid. Square brackets hold 95 % intervals over the rounds, for the "
        "capacity over its searches.\n"
    )


def setup(folder: Path, model: str | None) -> str:
    """A table of the ease of setup, and below it how it was measured."""
    measured = next(one for one in read_setups(folder / SETUP) if model in (None, one.workload.name))
    servers = list(measured.servers.values())
    rows: Mapping[str, Callable[[ServerSetup], str]] = {
        "warm start to the first correct answer, s": _warm_start,
        "packages": SIZE_ROWS["packages"],
        "installed": SIZE_ROWS["installed"],
        **{name: WRITTEN_ROWS[name] for name in ("code, lines", "configuration, lines", "export, lines")},
        "processes when idle": IDLE_ROWS["processes"],
        "memory when idle": IDLE_ROWS["memory"],
    }
    lines = [[title, *(cell(server) for server in servers)] for title, cell in rows.items()]
    titles = {cell.capability: cell.title for server in servers for cell in server.capabilities}
    for capability in CAPABILITIES:
        cells = [
            next((answer_of(cell) for cell in server.capabilities if cell.capability == capability), "-")
            for server in servers
        ]
        lines.append([titles[capability], *cells])
    table = markdown_rows(["", *(server.label for server in servers)], lines)
    return (
        f"{table}\n\nMeasured on {measured.date:%Y-%m-%d} by `loadtest {shlex.join(measured.command)}` on "
        f"{measured.host.cpu}. In parentheses the range of the starts.\n"
    )


def _warm_start(server: ServerSetup) -> str:
    spread = server.timeline.warm and spread_of(server.timeline.warm.stages, list(STAGES)[-1])
    return f"{spread.median:.2f} ({spread.low:.2f} to {spread.high:.2f})" if spread else "-"


def rewritten(text: str) -> str:
    """The README with every block written anew."""
    makers = {"latency": latency, "setup": setup}
    return BLOCK.sub(lambda block: f"{block[1]}{makers[block[2]](ROOT / block[3], block[4])}{block[5]}", text)


def main() -> None:
    """Write the README, or with ``--check`` only say whether it is up to date."""
    text = README.read_text(encoding="utf-8")
    new = rewritten(text)
    if "--check" not in sys.argv[1:]:
        README.write_text(new, encoding="utf-8")
    elif new != text:
        sys.exit("the README's tables are not those of the results that they name: run scripts/readme")


if __name__ == "__main__":
    main()
