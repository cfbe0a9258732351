"""Write tables of the documentation from the result files that they name: scripts/readme [--check].

A block begins with ``<!-- latency FOLDER -->``, of several comparisons with ``<!-- latency FOLDER imagenet -->``, or
with ``models``, ``setup``, ``overload``, ``soak`` or ``exports`` in place of the first word, and ends with
``<!-- /latency -->`` and the like; what stands between the two is written here, from FOLDER's result.json, setup.json,
resilience.json, soak.json or, of exports, the file of each model.
"""

import re
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from loadtest.judge.summary import SummaryRow
from loadtest.report.answer import conditions
from loadtest.report.exports_table import markdown_exports
from loadtest.report.figures import long_night, model_weight
from loadtest.report.fire_table import goodput_shares
from loadtest.report.fire_wording import refused
from loadtest.report.markdown import numbers
from loadtest.report.reading import RESULT, SETUP, read_results, span
from loadtest.report.setup_table import IDLE_ROWS, SIZE_ROWS, STAGES, WRITTEN_ROWS, spread_of
from loadtest.report.setup_wording import answer_of
from loadtest.report.table import markdown_rows, markdown_table
from loadtest.resilience.command_record import CommandRecord
from loadtest.resilience.resilience_file import RESILIENCE, read_resilience
from loadtest.resilience.soak_file import read_soak
from loadtest.servers.exported_models import read_exported_model
from loadtest.setup.server_setup import ServerSetup
from loadtest.setup.setup_file import read_setups

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / name
    for name in (
        "README.md",
        "docs/devices.md",
        "docs/measured/README.md",
        "docs/resilience.md",
        "benchmarks/RESULTS.md",
    )
]
WRITTEN = (
    "code, lines",
    "code for operation, lines",
    "configuration, lines",
    "export, lines",
    "for other wire formats, lines",
)
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


MEASURES: Mapping[str, Callable[[SummaryRow, model_weight.Served], str]] = {
    "response time p50, ms": lambda row, _: span(row.p50_ms, 2),
    "response time p95, ms": lambda row, _: span(row.p95_ms, 2),
    "response time p99, ms": lambda row, _: span(row.p99_ms, 2),
    "closed-loop ceiling per second": lambda row, _: span(row.ceiling_rps, 0 if row.ceiling_rps.value > 200 else 1),
    "of the bare forward pass, %": lambda _, served: span(served.share.scaled(100), 0),
    "CPU seconds per 1,000 at the ceiling": lambda row, _: span(row.cpu_s_per_1000_at_ceiling, 2),
    "start to first answer, s": lambda row, _: span(row.first_prediction_s, 1),
}
"""What the table of several models tells."""


def models(folder: Path, _: str | None) -> str:
    """The servers with each model side by side, the lightest model first, and below it how it was measured."""
    compared = model_weight.models(read_results(folder / RESULT))
    header = [
        f"{one.name}: {model_weight.weight_ms(one):,.2g} ms, {one.plan.common_rate_rps:,g} requests/s"
        for one in compared
    ]
    rows = [{row.key: row for row in one.summary} for one in compared]
    served = [{each.key: each for each in model_weight.served(one)} for one in compared]
    lines = [
        # The measure is told once for all of its servers.
        [
            title if number == 0 else "",
            label,
            *(cell(row[key], one[key]) for row, one in zip(rows, served, strict=True)),
        ]
        for title, cell in MEASURES.items()
        for number, (key, label) in enumerate(compared[0].names.items())
    ]
    first = compared[0]
    runs = [run for one in compared for server in one.servers for _, run in server.runs]
    lengths = ", ".join(f"{one.plan.duration_s:g} s with {one.name}" for one in compared)
    return (
        f"{markdown_rows(['', '', *header], lines, (0, 1))}\n\n"
        f"Measured on {first.started_at[:10]} by `loadtest {shlex.join(first.command)}`: {first.plan.rounds} rounds, "
        f"of {lengths}, on {first.host.cores} cores of {first.host.cpu}, launcher {first.launcher['launcher']}, method "
        f"{first.method}; {sum(run.verdict.valid for run in runs)} of {len(runs)} runs valid. Above each column stand "
        "the bare forward pass, the mean of both frameworks, and the common rate. Square brackets hold 95 % intervals "
        "over the rounds.\n"
    )


def setup(folder: Path, model: str | None) -> str:
    """A table of the ease of setup, and below it how it was measured."""
    measured = next(one for one in read_setups(folder / SETUP) if model in (None, one.workload.name))
    servers = list(measured.servers.values())
    rows: Mapping[str, Callable[[ServerSetup], str]] = {
        "warm start to the first correct answer, s": _warm_start,
        "packages": SIZE_ROWS["packages"],
        "installed": SIZE_ROWS["installed"],
        **{name: WRITTEN_ROWS[name] for name in WRITTEN},
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


def overload(folder: Path, _: str | None) -> str:
    """Goodput at each offered load as a share of the capacity, and below it how it was measured."""
    file = read_resilience(folder / RESILIENCE)
    measured = {one.label: one.overload for one in file.servers.values() if one.overload}
    offered, shares = goodput_shares(list(measured.values()))
    lines = [
        [
            f"{label}, capacity {found.ceiling_rps:,.0f}/s",
            *line,
            f"{refused(found.highest) / found.highest.requests:.0%}",
            f"{found.highest.p99_ms:,.0f}",
            f"{found.recovery_s:.1f}",
        ]
        for (label, found), line in zip(measured.items(), shares, strict=True)
    ]
    most = offered[-1]
    header = ["offered", *offered, f"refused at {most}", f"p99 of answers at {most}, ms", "recovery, s"]
    return f"{markdown_rows(header, lines)}\n\n{_by(file)}: answered in time, as a share of the capacity.\n"


def soak(folder: Path, _: str | None) -> str:
    """What became of the requests of a soak, what grew, and below it how it was measured."""
    file = read_soak(folder)
    tables = "\n\n".join(numbers(table) for table in long_night.tables(list(file.servers.values())))
    return f"{tables}\n\n{_by(file)}.\n"


EXPORT_COLUMNS = (
    "export",
    "size, MiB",
    "forward, ms",
    "of its framework's on the server",
    "accuracy",
    "smallest cosine to the reference",
)
"""Those of the table of exports that the documentation tells; the table of each model beside its file tells all."""


def exports(folder: Path, _: str | None) -> str:
    """A table of the exports of each model, how it was measured, and what was refused."""
    models = map(read_exported_model, sorted(folder.glob("*.json")))
    return "\n".join(f"### {one.workload}\n\n{markdown_exports(one, EXPORT_COLUMNS)}" for one in models)


def _by(file: CommandRecord) -> str:
    return (
        f"Measured on {file.date:%Y-%m-%d} by `loadtest {shlex.join(file.command)}`: {file.workload} v{file.version}, "
        f"launcher {file.launcher['launcher']}, {file.host.cores} cores of {file.host.cpu}"
    )


MAKERS = {"latency": latency, "models": models, "setup": setup, "overload": overload, "soak": soak, "exports": exports}
BLOCK = re.compile(rf"(<!-- ({'|'.join(MAKERS)}) (\S+)(?: (\S+))? -->\n).*?(<!-- /\2 -->)", re.DOTALL)


def rewritten(text: str) -> str:
    """A page with every block written anew."""
    return BLOCK.sub(lambda block: f"{block[1]}{MAKERS[block[2]](ROOT / block[3], block[4])}{block[5]}", text)


def main() -> None:
    """Write the tables, or with ``--check`` only say whether they are up to date."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        new = rewritten(text)
        if "--check" not in sys.argv[1:]:
            page.write_text(new, encoding="utf-8")
        elif new != text:
            sys.exit(f"the tables of {page.name} are not those of the results that they name: run scripts/readme")


if __name__ == "__main__":
    main()
