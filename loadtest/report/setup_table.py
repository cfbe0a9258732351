"""The measurement as tables for the terminal; the evidence is in the document."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table

from loadtest.report.setup_wording import answer_of, looked_up_of, stand_in_lines

MIB = 1024 * 1024
NOTHING = "-"
COLOURS = {True: "green", False: "red", None: "yellow"}
STAGES = {"port_open": "port open", "ready": "ready", "first_correct": "first correct answer"}

Server = Mapping[str, Any]
Row = Callable[[Server], str]


def rich_tables(document: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The tables and notes of a document, in the order in which they are printed."""
    servers: Mapping[str, Server] = document["servers"]
    for server in servers.values():
        for fault in server["faults"]:
            yield f"[red]FAILED[/red]  {server['label']}: {_escaped(fault)}"
    yield _figures("Time to the first correct answer, seconds since the start", servers, _time_rows(servers))
    yield _figures("Size", servers, SIZE_ROWS)
    yield _figures("What a person writes", servers, WRITTEN_ROWS)
    yield _figures("Moving parts of the idle server", servers, MOVING_ROWS)
    if any(server["capabilities"] for server in servers.values()):
        yield from _capabilities(servers)
    yield from _facts(servers)
    if document["weighted"]:
        yield _weighted(document["weighted"], servers)


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")


def _figures(title: str, servers: Mapping[str, Server], rows: Mapping[str, Row]) -> Table:
    table = _table(title, servers, justify="right")
    for name, cell in rows.items():
        table.add_row(name, *(cell(server) for server in servers.values()))
    return table


def _table(title: str, servers: Mapping[str, Server], **column: Any) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    for server in servers.values():
        table.add_column(server["label"], **column)
    return table


def _time_rows(servers: Mapping[str, Server]) -> dict[str, Row]:
    rows = {f"warm: {title}": _warm_stage(stage) for stage, title in STAGES.items()}
    if any(server["timeline"]["cold"] for server in servers.values()):
        found = [_at(server, "timeline", "cold", "stages") or () for server in servers.values()]
        names = dict.fromkeys(stage["stage"] for stages in found for stage in stages)
        rows |= {f"cold: {name}": _cold_stage(name) for name in names}
        rows["cold: all"] = lambda server: _number(_at(server, "timeline", "cold", "seconds"), "{:.1f}")
    return rows


def _warm_stage(stage: str) -> Row:
    return lambda server: _spread(_at(server, "timeline", "warm", "stages", stage))


def _cold_stage(name: str) -> Row:
    def cell(server: Server) -> str:
        stages = _at(server, "timeline", "cold", "stages") or []
        return next((f"{stage['seconds']:.1f}" for stage in stages if stage["stage"] == name), NOTHING)

    return cell


def _spread(spread: Mapping[str, float] | None) -> str:
    return f"{spread['median']:.2f} ({spread['low']:.2f}-{spread['high']:.2f})" if spread else NOTHING


def _at(server: Any, *keys: str) -> Any:
    for key in keys:
        server = server.get(key) if isinstance(server, Mapping) else None
    return server


def _number(value: float | None, form: str = "{:,}") -> str:
    return NOTHING if value is None else form.format(value)


def _mib(value: float | None) -> str:
    return NOTHING if value is None else f"{value / MIB:,.1f} MiB"


def _kind(kind: str) -> Row:
    def cell(server: Server) -> str:
        found = server["written"]["by_kind"][kind]
        files = "file" if found["files"] == 1 else "files"
        return f"{found['lines']} in {found['files']} {files}" if found["files"] else NOTHING

    return cell


def _packages(server: Server) -> str:
    packages, program = server["size"]["packages"], _at(server, "size", "program")
    if program:
        libraries = sum(".so" in file["name"] for file in program["files"])
        return f"a program, {libraries} {'library' if libraries == 1 else 'libraries'}"
    if packages is None:
        return NOTHING
    missing = f" ({len(packages['missing'])} not installed)" if packages["missing"] else ""
    return f"{packages['count']}{missing}"


def _installed(server: Server) -> int | None:
    size: int | None = _at(server, "size", "packages", "bytes") or _at(server, "size", "program", "bytes")
    return size


def _ports(server: Server) -> str:
    ports = _at(server, "moving_parts", "ports")
    return f"{len(ports)} ({', '.join(port['role'] or str(port['port']) for port in ports)})" if ports else NOTHING


def _languages(server: Server) -> str:
    return ", ".join(_at(server, "moving_parts", "languages") or ()) or NOTHING


SIZE_ROWS: Mapping[str, Row] = {
    "packages": _packages,
    "installed": lambda server: _mib(_installed(server)),
    "its part of the artifact": lambda server: _mib(server["size"]["artifact"]["bytes"]),
    "image, unpacked": lambda server: _mib(_at(server, "size", "image", "bytes")),
}

WRITTEN_ROWS: Mapping[str, Row] = {
    "configuration, lines": _kind("configuration"),
    "code, lines": _kind("code"),
    "export, lines": _kind("export"),
    "Dockerfile, lines": _kind("image"),
    "keys set (not the default)": lambda server: "{keys_set} ({keys_changed})".format_map(server["written"]),
    "flags of the command": lambda server: str(len(server["written"]["flags"])),
    "variables": lambda server: str(len(server["written"]["environment"])),
    "commands typed": lambda server: str(len(server["written"]["commands"])),
}

MOVING_ROWS: Mapping[str, Row] = {
    "processes": lambda server: _number(_at(server, "moving_parts", "processes")),
    "threads": lambda server: _number(_at(server, "moving_parts", "threads")),
    "languages": _languages,
    "TCP ports": _ports,
    "memory": lambda server: _number(_at(server, "moving_parts", "resident_mib"), "{:,.0f} MiB"),
}


def _capabilities(servers: Mapping[str, Server]) -> Iterator[RenderableType]:
    table = _table("Capabilities, tried out", servers)
    notes: list[str] = []
    titles = {cell["capability"]: cell["title"] for server in servers.values() for cell in server["capabilities"]}
    for capability, title in titles.items():
        row = []
        for server in servers.values():
            cell = next((one for one in server["capabilities"] if one["capability"] == capability), None)
            if cell is None:
                row.append(NOTHING)
                continue
            said = "; ".join(filter(None, (cell["setting"], cell["note"])))
            if said and said not in notes:
                notes.append(said)
            colour = COLOURS[cell["supported"]]
            row.append(f"[{colour}]{answer_of(cell)}[/{colour}]{f' ({notes.index(said) + 1})' if said else ''}")
        table.add_row(title, *row)
    yield table
    for number, note in enumerate(notes, 1):
        yield f"  ({number}) {_escaped(note)}"
    for line in stand_in_lines({server["label"]: server for server in servers.values()}):
        yield f"  {_escaped(line)}"


def _facts(servers: Mapping[str, Server]) -> Iterator[RenderableType]:
    yield "[italic]Looked up, since it cannot be measured[/italic]"
    for server in servers.values():
        for fact in server["facts"]:
            whose = looked_up_of(server, server["label"])
            yield _escaped(f"  {whose}, {fact['name']}: {fact['text']} ({fact['date']}: {fact['source']})")


def _weighted(weighted: Mapping[str, Any], servers: Mapping[str, Server]) -> Table:
    table = _table("Weighted by you", servers, justify="right")
    for name, weight in weighted["weights"].items():
        parts = [weighted["servers"][key]["parts"].get(name) for key in servers]
        table.add_row(f"{name} at {weight:g}", *(f"{part['product']:,.1f}" if part else "?" for part in parts))
    table.add_section()
    table.add_row("sum of what is known", *(f"{weighted['servers'][key]['sum']:,.1f}" for key in servers))
    return table
