"""Reads the server.toml of every server folder into the contract, and finds servers by their keys."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from loadtest.errors import UsageError
from loadtest.servers.artifact import ROOT
from loadtest.servers.layer_table import read_layer_table
from loadtest.servers.server_folder import DEFAULT_WIRE, HttpGet, LaunchCommand, Server, WireEndpoint
from loadtest.servers.times_table import read_times_table
from loadtest.servers.toml_table import TomlTable
from loadtest.servers.tuning_space import read_tuning_space

FILE = "server.toml"
MAX_PORT = 65_535
REQUIRED = (
    "name",
    "label",
    "runtime",
    "compose_service",
    "written_files",
    "ports",
    "wires",
    "ready",
    "launch",
)
OPTIONAL = ("facts", "effective", "variants", "setup", "tune", "layers", "server_times", "token_variable")


def server_folders(root: Path = ROOT) -> list[Path]:
    """List the folders that hold a server.toml, in alphabetical order."""
    return sorted(path.parent for path in root.glob(f"*/{FILE}"))


def load_servers(root: Path = ROOT) -> dict[str, Server]:
    """Read every server folder.

    Args:
        root: The project's top level.

    Returns:
        Servers and their variants by key, in alphabetical order of the folders.

    Raises:
        UsageError: If a server.toml does not keep the contract.
    """
    servers: dict[str, Server] = {}
    for folder in server_folders(root):
        for server in _read_folder(folder):
            servers[server.key] = server
    return servers


def select_servers(wanted: str | None, servers: Mapping[str, Server]) -> list[Server]:
    """Pick servers by a comma-separated list of keys; None means every server in its default form.

    Raises:
        UsageError: If there is no key, or an unknown one; the text lists the known ones.
    """
    if wanted is None:
        return [server for key, server in servers.items() if ":" not in key]
    return [select_server(key, servers) for key in dict.fromkeys(key.strip() for key in wanted.split(","))]


def select_server(wanted: str, servers: Mapping[str, Server]) -> Server:
    """Pick one server by its key.

    Raises:
        UsageError: If the key is unknown; the text lists the known ones.
    """
    if wanted not in servers:
        raise UsageError(f"no server {wanted!r}; there are: {', '.join(servers)}")
    return servers[wanted]


def _read_folder(folder: Path) -> list[Server]:
    path = folder / FILE
    try:
        data = TomlTable(tomllib.loads(path.read_text(encoding="utf-8")))
        missing = [key for key in REQUIRED if key not in data.values]
        if missing:
            raise UsageError(f"{path} lacks: {', '.join(missing)}")
        data.only(*REQUIRED, *OPTIONAL)
        default = _server(folder, data)
        return [default, *(_variant(default, name, one) for name, one in data.tables_by_name("variants").items())]
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} does not keep the contract of a server folder: {error}") from error


def _server(folder: Path, data: TomlTable) -> Server:
    ports = _ports(data.table("ports"))
    wires = {name: _wire(one, ports) for name, one in data.tables_by_name("wires").items()}
    if DEFAULT_WIRE not in wires:
        raise ValueError(f"[wires] has no entry for {DEFAULT_WIRE}, which every server must speak")
    return Server(
        key=data.text("name"),
        name=data.text("name"),
        folder=folder,
        label=data.text("label"),
        runtime=data.text("runtime"),
        compose_service=data.text("compose_service"),
        wires=wires,
        written_files=data.texts("written_files"),
        facts=data.text("facts", ""),
        ports=ports,
        ready=_http_get(data.table("ready"), ports),
        effective={name: _http_get(one, ports) for name, one in data.tables_by_name("effective").items()},
        launches=tuple(map(_launch_command, data.tables("launch"))),
        setup=dict(data.table("setup", {}).values),
        tune=read_tuning_space(data.table("tune")) if "tune" in data.values else None,
        token_variable=data.text("token_variable", ""),
        layers=read_layer_table(data.table("layers")) if "layers" in data.values else None,
        times=read_times_table(data.table("server_times"), ports) if "server_times" in data.values else None,
    )


def _ports(table: TomlTable) -> dict[str, int]:
    for name, port in table.values.items():
        if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= MAX_PORT:
            raise ValueError(f"{table.place(name)} must be a number from 1 to {MAX_PORT}, not {port!r}")
    return dict(table.values)


def _http_get(table: TomlTable, ports: Mapping[str, int]) -> HttpGet:
    table.only("port", "path", "contains")
    return HttpGet(_port(table, ports), table.text("path"), table.text("contains", ""))


def _wire(table: TomlTable, ports: Mapping[str, int]) -> WireEndpoint:
    table.only("port", "path")
    return WireEndpoint(_port(table, ports), table.text("path"))


def _port(table: TomlTable, ports: Mapping[str, int]) -> str:
    port = table.text("port")
    if port not in ports:
        raise ValueError(f"{table.place('port')} must be one of {', '.join(ports)}, not {port!r}")
    return port


def _launch_command(table: TomlTable) -> LaunchCommand:
    table.only("command", "env", "requires", "label", "stands_in_for", "version", "no_layers", "own_code")
    command = table.texts("command")
    if not command:
        raise ValueError(f"{table.place('command')} is empty")
    return LaunchCommand(
        command=command,
        env=table.texts_by_name("env"),
        requires=table.text("requires", ""),
        label=table.text("label", ""),
        stands_in_for=table.text("stands_in_for", ""),
        version=table.texts("version", ()),
        no_layers=table.text("no_layers", ""),
        own_code=table.flag("own_code", False),
    )


def _variant(server: Server, name: str, table: TomlTable) -> Server:
    table.only("label", "runtime", "args", "env", "setup", "written_files")
    launches = tuple(
        replace(
            launch,
            command=(*launch.command, *table.texts("args", ())),
            env={**launch.env, **table.texts_by_name("env")},
            label=f"{launch.label}, {name}" if launch.label else "",
        )
        for launch in server.launches
    )
    return replace(
        server,
        key=f"{server.name}:{name}",
        label=table.text("label"),
        runtime=table.text("runtime", server.runtime),
        written_files=table.texts("written_files", server.written_files),
        launches=launches,
        setup={**server.setup, **table.table("setup", {}).values},
        tune=None,  # its defaults are others
    )
