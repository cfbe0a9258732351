"""The contract of a server folder: everything the load tester knows of a server is its server.toml and the wire.

A folder of the project with a ``server.toml`` is a server. Strings in it are `str.format` templates; the names they
may use are those of `Context`.
"""

import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from loadtest.errors import UsageError
from loadtest.servers.artifact import ROOT
from loadtest.servers.toml_table import Table

PROTOCOLS = ("rest", "grpc")
MAX_PORT = 65_535
REQUIRED = (
    "name",
    "label",
    "runtime",
    "compose_service",
    "protocols",
    "written_files",
    "ports",
    "rest",
    "ready",
    "launch",
)
OPTIONAL = ("facts", "grpc", "effective", "variants", "setup")


@dataclass(frozen=True)
class Probe:
    """A GET request whose answer says something about the server.

    Attributes:
        port: Name of the port in ``[ports]``.
        path: Path template.
        contains: Text that a positive answer holds.
    """

    port: str
    path: str
    contains: str = ""


@dataclass(frozen=True)
class Launch:
    """One way to start the server on this machine.

    Attributes:
        command: Template of each word of the command.
        env: Template of each variable that is set for it.
        requires: Executable that must be on PATH for this way.
        label: What tables call a server that was started this way.
        stands_in_for: What it stands in for, where it is not the server itself; it then has a label of its own, and
            what is tried out on it is marked as its own.
    """

    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    requires: str = ""
    label: str = ""
    stands_in_for: str = ""

    def __post_init__(self) -> None:
        if self.stands_in_for and not self.label:
            raise ValueError(f"a [[launch]] that stands_in_for {self.stands_in_for} needs a label of its own")

    @property
    def in_python(self) -> bool:
        """Whether it runs in this program's Python environment, and not as a program of its own."""
        return any("{python}" in word for word in self.command)


@dataclass(frozen=True)
class Server:
    """A server folder, or a labelled variant of one.

    Attributes:
        key: What the command line and results call it: ``name`` or ``name:variant``.
        name: Folder name.
        folder: The folder.
        label: What tables print.
        runtime: Framework of the forward pass: ``torch`` or ``tensorflow``.
        compose_service: Service in compose.yaml.
        protocols: Of ``rest`` and ``grpc``.
        written_files: Files a person writes to deploy this way.
        facts: A sentence that every comparison must state, or nothing.
        ports: Default port of each role.
        predict: Path template of the REST prediction.
        grpc_method: Full name of the gRPC prediction method, or nothing.
        ready: Readiness probe.
        effective: Probes that read back the effective configuration.
        launches: Ways to start it, the first usable one is taken.
        setup: The optional table ``[setup]``, read by `loadtest.setup.declared`; a variant's own keys come first.
    """

    key: str
    name: str
    folder: Path
    label: str
    runtime: str
    compose_service: str
    protocols: tuple[str, ...]
    written_files: tuple[str, ...]
    facts: str
    ports: Mapping[str, int]
    predict: str
    grpc_method: str
    ready: Probe
    effective: Mapping[str, Probe]
    launches: tuple[Launch, ...]
    setup: Mapping[str, Any] = field(default_factory=dict)

    def launch(self) -> Launch:
        """The first way whose executable is present.

        Raises:
            UsageError: If there is none.
        """
        for launch in self.launches:
            if not launch.requires or shutil.which(launch.requires):
                return launch
        needed = " or ".join(launch.requires for launch in self.launches)
        raise UsageError(f"{self.key} cannot be started here: {needed} is not on PATH")

    def launch_called(self, label: str) -> Launch | None:
        """The way to start it that bears a label; of a container nothing but the label tells what is in it.

        Returns:
            None where no way bears it.
        """
        return next((launch for launch in self.launches if (launch.label or self.label) == label), None)


def server_folders(root: Path = ROOT) -> list[Path]:
    """The folders that hold a server.toml."""
    return sorted(path.parent for path in root.glob("*/server.toml"))


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
        for server in _read(folder):
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


def _read(folder: Path) -> list[Server]:
    path = folder / "server.toml"
    try:
        data = Table(tomllib.loads(path.read_text(encoding="utf-8")))
        missing = [key for key in REQUIRED if key not in data.values]
        if missing:
            raise UsageError(f"{path} lacks: {', '.join(missing)}")
        data.only(*REQUIRED, *OPTIONAL)
        default = _server(folder, data)
        return [default, *(_variant(default, name, one) for name, one in data.tables_by_name("variants").items())]
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} does not keep the contract of a server folder: {error}") from error


def _server(folder: Path, data: Table) -> Server:
    ports = _ports(data.table("ports"))
    protocols = data.texts("protocols")
    for protocol in ("rest", *protocols):
        if protocol not in PROTOCOLS:
            raise ValueError(f"protocols must be of {', '.join(PROTOCOLS)}, not {protocol!r}")
        if protocol not in ports:
            raise ValueError(f"[ports] has no entry for {protocol}")
    return Server(
        key=data.text("name"),
        name=data.text("name"),
        folder=folder,
        label=data.text("label"),
        runtime=data.text("runtime"),
        compose_service=data.text("compose_service"),
        protocols=protocols,
        written_files=data.texts("written_files"),
        facts=data.text("facts", ""),
        ports=ports,
        predict=data.table("rest").text("predict"),
        grpc_method=data.table("grpc", {} if "grpc" in protocols else {"method": ""}).text("method"),
        ready=_probe(data.table("ready"), ports),
        effective={name: _probe(probe, ports) for name, probe in data.tables_by_name("effective").items()},
        launches=tuple(map(_launch, data.tables("launch"))),
        setup=dict(data.table("setup", {}).values),
    )


def _ports(table: Table) -> dict[str, int]:
    for name, port in table.values.items():
        if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= MAX_PORT:
            raise ValueError(f"{table.place(name)} must be a number from 1 to {MAX_PORT}, not {port!r}")
    return dict(table.values)


def _probe(table: Table, ports: Mapping[str, int]) -> Probe:
    table.only("port", "path", "contains")
    port = table.text("port")
    if port not in ports:
        raise ValueError(f"{table.place('port')} must be one of {', '.join(ports)}, not {port!r}")
    return Probe(port, table.text("path"), table.text("contains", ""))


def _launch(table: Table) -> Launch:
    table.only("command", "env", "requires", "label", "stands_in_for")
    command = table.texts("command")
    if not command:
        raise ValueError(f"{table.place('command')} is empty")
    return Launch(
        command=command,
        env=table.texts_by_name("env"),
        requires=table.text("requires", ""),
        label=table.text("label", ""),
        stands_in_for=table.text("stands_in_for", ""),
    )


def _variant(server: Server, name: str, table: Table) -> Server:
    table.only("label", "runtime", "args", "env", "setup")
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
        launches=launches,
        setup={**server.setup, **table.table("setup", {}).values},
    )


def fill(template: str, context: Mapping[str, object]) -> str:
    """Fill a template of server.toml.

    Raises:
        UsageError: If it uses a name that does not exist.
    """
    try:
        return template.format_map(dict(context))
    except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
        names = ", ".join(context)
        raise UsageError(f"server.toml: {template!r} uses what does not exist ({error}); there are: {names}") from error
