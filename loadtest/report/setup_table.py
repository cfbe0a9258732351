"""The measurement as tables for the terminal; the evidence is in the document."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table

from loadtest.report.setup_wording import MARK, answer_of, looked_up_of, qualification_of, sentence_of, stand_in_lines
from loadtest.setup.server_setup import ServerSetup
from loadtest.setup.setup_file import EaseOfSetup
from loadtest.setup.setup_finding import SetupFinding
from loadtest.setup.start_times import Spread, StageSpreads
from loadtest.setup.weighted_sum import WeightedSums
from loadtest.setup.written_files import COUNTING, WrittenKind

MIB = 1024 * 1024
NOTHING = "-"
COLOURS = {True: "green", False: "red", None: "yellow"}
STAGES = {"port_open": "port open", "ready": "ready", "first_correct": "first correct answer"}

Row = Callable[[ServerSetup], str]


def rich_tables(setup: EaseOfSetup) -> Iterator[RenderableType]:
    """The tables and notes of a measurement, in the order in which they are printed."""
    servers = setup.servers
    for server in servers.values():
        for fault in server.faults:
            yield f"[red]FAILED[/red]  {server.label}: {_escaped(fault)}"
    yield _figures("Time to the first correct answer, seconds since the start", servers, _time_rows(servers))
    yield from _notes("cold", [note for one in servers.values() for note in _cold_notes(one)])
    yield _figures("Size", servers, SIZE_ROWS)
    yield from _notes("image", [one.size.image.note for one in servers.values() if one.size.image])
    yield _figures(written_title(setup), servers, WRITTEN_ROWS)
    yield _figures(IDLE_TITLE, servers, IDLE_ROWS)
    if any(server.capabilities for server in servers.values()):
        yield from _capabilities(servers)
    yield from _facts(servers)
    if setup.weighted:
        yield _weighted(setup.weighted, servers)


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")


def _notes(of: str, notes: Sequence[SetupFinding | None]) -> Iterator[str]:
    """The different notes below a table."""
    for sentence in dict.fromkeys(sentence_of(note) for note in notes if note):
        yield _escaped(f"  {of}: {sentence}")


def _cold_notes(server: ServerSetup) -> Sequence[SetupFinding]:
    return server.timeline.cold.notes if server.timeline.cold else ()


def _figures(title: str, servers: Mapping[str, ServerSetup], rows: Mapping[str, Row]) -> Table:
    table = _table(title, servers, justify="right")
    for name, cell in rows.items():
        table.add_row(name, *(cell(server) for server in servers.values()))
    return table


def _table(title: str, servers: Mapping[str, ServerSetup], **column: Any) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    for server in servers.values():
        table.add_column(server.label, **column)
    return table


def _time_rows(servers: Mapping[str, ServerSetup]) -> dict[str, Row]:
    rows = {f"warm: {title}": _warm_stage(stage) for stage, title in STAGES.items()}
    cold = [server.timeline.cold for server in servers.values() if server.timeline.cold]
    if cold:
        names = dict.fromkeys(stage.stage for one in cold for stage in one.stages)
        rows |= {f"cold: {name}": _cold_stage(name) for name in names}
        rows["cold: all"] = lambda server: f"{server.timeline.cold.seconds:.1f}" if server.timeline.cold else NOTHING
    return rows


def _warm_stage(stage: str) -> Row:
    def cell(server: ServerSetup) -> str:
        spread = server.timeline.warm and spread_of(server.timeline.warm.stages, stage)
        return f"{spread.median:.2f} ({spread.low:.2f}-{spread.high:.2f})" if spread else NOTHING

    return cell


def spread_of(stages: StageSpreads, stage: str) -> Spread | None:
    """Median and range of a stage of `STAGES`; None where it was never seen."""
    found: Spread | None = getattr(stages, stage)
    return found


def _cold_stage(name: str) -> Row:
    def cell(server: ServerSetup) -> str:
        stages = server.timeline.cold.stages if server.timeline.cold else ()
        return next((f"{stage.seconds:.1f}" for stage in stages if stage.stage == name), NOTHING)

    return cell


def _mib(value: int | None) -> str:
    return NOTHING if value is None else f"{value / MIB:,.1f} MiB"


def _kind(kind: WrittenKind) -> Row:
    def cell(server: ServerSetup) -> str:
        total = server.written.by_kind.get(kind)
        if not total or not total.files:
            return NOTHING
        return f"{total.lines} in {total.files} {'file' if total.files == 1 else 'files'}"

    return cell


def _packages(server: ServerSetup) -> str:
    packages, program = server.size.packages, server.size.program
    if program:
        libraries = sum(".so" in file.name for file in program.files)
        return f"a program, {libraries} {'library' if libraries == 1 else 'libraries'}{_stand_in(server)}"
    if packages is None:
        return NOTHING
    missing = f" ({len(packages.missing)} not installed)" if packages.missing else ""
    return f"{packages.count}{missing}{_stand_in(server)}"


def _installed(server: ServerSetup) -> str:
    known = server.size.packages or server.size.program
    return f"{_mib(known.bytes)}{_stand_in(server)}" if known else NOTHING


def _stand_in(server: ServerSetup) -> str:
    """What is set behind what a stand-in has installed: who installs the real server needs none of it."""
    return f" {MARK}" if server.stands_in_for else ""


def _image(server: ServerSetup) -> int | None:
    return server.size.image.bytes if server.size.image else None


def _ports(server: ServerSetup) -> str:
    ports = server.idle_processes.ports if server.idle_processes else ()
    return f"{len(ports)} ({', '.join(port.role or str(port.port) for port in ports)})" if ports else NOTHING


def _languages(server: ServerSetup) -> str:
    return ", ".join(server.idle_processes.languages if server.idle_processes else ()) or NOTHING


def _idle(attribute: str, form: str = "{:,}") -> Row:
    def cell(server: ServerSetup) -> str:
        return form.format(getattr(server.idle_processes, attribute)) if server.idle_processes else NOTHING

    return cell


SIZE_ROWS: Mapping[str, Row] = {
    "packages": _packages,
    "installed": _installed,
    "its part of the artifact": lambda server: _mib(server.size.artifact.bytes),
    "image, unpacked": lambda server: _mib(_image(server)),
}

WRITTEN_ROWS: Mapping[str, Row] = {
    "configuration, lines": _kind("configuration"),
    "code, lines": _kind("code"),
    "code for operation, lines": _kind("operation"),
    "export, lines": _kind("export"),
    "Dockerfile, lines": _kind("image"),
    "for other wire formats, lines": _kind("other_wires"),
    "keys set (not the default)": lambda server: f"{server.written.keys_set} ({server.written.keys_changed})",
    "flags of the command": lambda server: str(len(server.written.flags)),
    "variables": lambda server: str(len(server.written.environment)),
    "commands typed": lambda server: str(len(server.written.commands)),
}


def written_title(setup: EaseOfSetup) -> str:
    """The title above `WRITTEN_ROWS`; it says so where the lines were counted by a rule that is no longer in use."""
    return "What a person writes" + ("" if setup.counting == COUNTING else ", by an earlier rule of counting")


IDLE_TITLE = "Processes of the idle server"
IDLE_ROWS: Mapping[str, Row] = {
    "processes": _idle("processes"),
    "threads": _idle("threads"),
    "languages": _languages,
    "TCP ports": _ports,
    "memory": _idle("resident_mib", "{:,.0f} MiB"),
}


def _capabilities(servers: Mapping[str, ServerSetup]) -> Iterator[RenderableType]:
    table = _table("Capabilities, tried out", servers)
    notes: list[str] = []
    titles = {cell.capability: cell.title for server in servers.values() for cell in server.capabilities}
    for capability, title in titles.items():
        row = []
        for server in servers.values():
            cell = next((one for one in server.capabilities if one.capability == capability), None)
            if cell is None:
                row.append(NOTHING)
                continue
            said = qualification_of(cell)
            if said and said not in notes:
                notes.append(said)
            colour = COLOURS[cell.supported]
            row.append(f"[{colour}]{answer_of(cell)}[/{colour}]{f' ({notes.index(said) + 1})' if said else ''}")
        table.add_row(title, *row)
    yield table
    for number, note in enumerate(notes, 1):
        yield f"  ({number}) {_escaped(note)}"
    for line in stand_in_lines({server.label: server for server in servers.values()}):
        yield f"  {_escaped(line)}"


def _facts(servers: Mapping[str, ServerSetup]) -> Iterator[RenderableType]:
    yield "[italic]Looked up, since it cannot be measured[/italic]"
    for server in servers.values():
        for fact in server.facts:
            whose = looked_up_of(server, server.label)
            yield _escaped(f"  {whose}, {fact.name}: {fact.text} ({fact.date}: {fact.source})")


def _weighted(weighted: WeightedSums, servers: Mapping[str, ServerSetup]) -> Table:
    table = _table("Weighted by you", servers, justify="right")
    for name, weight in weighted.weights.items():
        parts = [weighted.servers[key].parts.get(name) for key in servers]
        table.add_row(f"{name} at {weight:g}", *(f"{part.product:,.1f}" if part else "?" for part in parts))
    table.add_section()
    table.add_row("sum of what is known", *(f"{weighted.servers[key].sum:,.1f}" for key in servers))
    return table
