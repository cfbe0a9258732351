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

from loadtest.artifact import ROOT
from loadtest.errors import UsageError

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
        setup: The optional table ``[setup]``, read by `loadtest.effort.declared`; a variant's own keys come first.
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
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        missing = [key for key in REQUIRED if key not in data]
        if missing:
            raise UsageError(f"{path} lacks: {', '.join(missing)}")
        default = _server(folder, data)
        return [default, *(_variant(default, name, table) for name, table in data.get("variants", {}).items())]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} does not keep the contract of a server folder: {error!r}") from error


def _server(folder: Path, data: Mapping[str, Any]) -> Server:
    return Server(
        key=data["name"],
        name=data["name"],
        folder=folder,
        label=data["label"],
        runtime=data["runtime"],
        compose_service=data["compose_service"],
        protocols=tuple(data["protocols"]),
        written_files=tuple(data["written_files"]),
        facts=data.get("facts", ""),
        ports=dict(data["ports"]),
        predict=data["rest"]["predict"],
        grpc_method=data.get("grpc", {}).get("method", ""),
        ready=Probe(**data["ready"]),
        effective={name: Probe(**probe) for name, probe in data.get("effective", {}).items()},
        launches=tuple(
            Launch(
                command=tuple(launch["command"]),
                env=launch.get("env", {}),
                requires=launch.get("requires", ""),
                label=launch.get("label", ""),
                stands_in_for=launch.get("stands_in_for", ""),
            )
            for launch in data["launch"]
        ),
        setup=dict(data.get("setup", {})),
    )


def _variant(server: Server, name: str, table: Mapping[str, Any]) -> Server:
    launches = tuple(
        replace(
            launch,
            command=(*launch.command, *table.get("args", ())),
            env={**launch.env, **table.get("env", {})},
            label=f"{launch.label}, {name}" if launch.label else "",
        )
        for launch in server.launches
    )
    return replace(
        server,
        key=f"{server.name}:{name}",
        label=table["label"],
        runtime=table.get("runtime", server.runtime),
        launches=launches,
        setup={**server.setup, **table.get("setup", {})},
    )


def fill(template: str, context: Mapping[str, object]) -> str:
    """Fill a template of server.toml.

    Raises:
        UsageError: If it uses a name that does not exist.
    """
    try:
        return template.format_map(dict(context))
    except (KeyError, IndexError, ValueError) as error:
        names = ", ".join(context)
        raise UsageError(f"server.toml: {template!r} uses what does not exist ({error}); there are: {names}") from error
