"""The contract of a server folder: everything the load tester knows of a server is its server.toml and the wire.

A folder of the project with a ``server.toml`` is a server; `loadtest.servers.server_toml` reads it. Its strings are
`str.format` templates. What a template may use:

- ``workload``, ``version``, ``host``, ``ports[role]`` everywhere;
- ``python``, ``here`` (the folder), ``root`` (of the project), ``artifact`` (its folder), ``threads`` (that the server
  should compute with), ``shapes`` (``fixed``, or ``varying`` where inputs of the model vary in length) and ``run_dir``
  (a scratch folder of this run) in commands and their environment as well.

`loadtest.servers.tuning_space` says what the optional table ``[tune]`` adds for a server that is tuned,
`loadtest.servers.layer_table` what ``[layers]`` does for one that tells where its CPU time goes, and
`loadtest.servers.times_table` what ``[server_times]`` does for one that tells the times of its requests.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtest.errors import UsageError
from loadtest.servers.bearer_token import token_headers
from loadtest.servers.layer_table import LayerTable
from loadtest.servers.times_table import TimesTable
from loadtest.servers.tuning_space import TuningSpace

DEFAULT_WIRE = "rest"
"""The wire format that every server speaks: JSON over REST, row by row."""


@dataclass(frozen=True)
class HttpGet:
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
class WireEndpoint:
    """Where a server speaks a wire format.

    Attributes:
        port: Name of the port in ``[ports]``.
        path: Path template of a prediction; over gRPC the full name of the method.
    """

    port: str
    path: str


@dataclass(frozen=True)
class LaunchCommand:
    """One way to start the server on this machine.

    Attributes:
        command: Template of each word of the command.
        env: Template of each variable that is set for it.
        requires: Executable that must be on PATH for this way.
        label: What tables call a server that was started this way; the server's own label if empty.
        stands_in_for: What it stands in for, where it is not the server itself; it then has a label of its own, and
            what is tried out on it is marked as its own.
        version: Template of each word of a command that prints the version of the program, where that is no package of
            this program's Python environment.
        own_code: Whether it is code of this project, so that a hostile request must be refused with a reason.
        no_layers: Why what is started this way cannot tell its CPU time by layer, although the server has ``[layers]``.
    """

    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    requires: str = ""
    label: str = ""
    stands_in_for: str = ""
    version: tuple[str, ...] = ()
    no_layers: str = ""
    own_code: bool = False

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
        wires: The wire formats that it speaks, by their names in `loadtest.wire.formats`; ``rest`` is one of them.
        written_files: Files a person writes to deploy this way, relative to the folder; of Python code those from which
            the others are imported suffice (`loadtest.setup.written_files`).
        facts: A sentence that every comparison must state, or nothing.
        ports: Default port of each role.
        ready: The readiness probe.
        effective: Requests that read back the effective configuration, by what they tell of it.
        launches: Ways to start it; the first usable one is taken.
        setup: The optional table ``[setup]``, read by `loadtest.setup.declared`; a variant's own keys come first.
        tune: What can be tuned of it; None where nothing is declared, as of a variant.
        layers: How it tells its CPU time by layer; None where it cannot.
        token_variable: The variable that sets the token it asks for (`loadtest.servers.bearer_token`), if any.
        times: Where it tells the times of its requests; None where it does not.
        names: Further names that the templates of its commands may use.
    """

    key: str
    name: str
    folder: Path
    label: str
    runtime: str
    compose_service: str
    wires: Mapping[str, WireEndpoint]
    written_files: tuple[str, ...]
    facts: str
    ports: Mapping[str, int]
    ready: HttpGet
    effective: Mapping[str, HttpGet]
    launches: tuple[LaunchCommand, ...]
    setup: Mapping[str, Any] = field(default_factory=dict)
    tune: TuningSpace | None = None
    layers: LayerTable | None = None
    token_variable: str = ""
    times: TimesTable | None = None
    names: Mapping[str, object] = field(default_factory=dict)

    def endpoint(self, wire: str) -> WireEndpoint:
        """Where it speaks a wire format.

        Raises:
            UsageError: If it does not speak it; the text lists what it speaks.
        """
        if wire not in self.wires:
            raise UsageError(f"{self.key} does not speak {wire}; it speaks: {', '.join(self.wires)}")
        return self.wires[wire]

    def token_headers(self) -> dict[str, str]:
        """The header that each request to it needs, where the environment sets a token for it.

        Raises:
            UsageError: See `loadtest.servers.bearer_token.token_headers`.
        """
        declared = {name: value for launch in self.launches for name, value in launch.env.items()}
        return token_headers(self.token_variable, {**os.environ, **declared})

    def is_secret(self, variable: str) -> bool:
        """Whether a variable of its environment holds its token, or the place of it, which no result may hold."""
        return bool(self.token_variable) and variable.startswith(self.token_variable)

    def launch(self) -> LaunchCommand:
        """The first way whose executable is present.

        Raises:
            UsageError: If there is none.
        """
        for launch in self.launches:
            if not launch.requires or shutil.which(launch.requires):
                return launch
        needed = " or ".join(launch.requires for launch in self.launches)
        raise UsageError(f"{self.key} cannot be started here: {needed} is not on PATH")

    def launch_called(self, label: str) -> LaunchCommand | None:
        """The way to start it that bears a label; of a container nothing but the label tells what is in it.

        Returns:
            None where no way bears it.
        """
        return next((launch for launch in self.launches if (launch.label or self.label) == label), None)

    def stood_in_for(self, label: str) -> str | None:
        """What a server that bears a label stands in for; None where it is the server itself, or nothing is known."""
        launch = self.launch_called(label)
        return (launch.stands_in_for if launch else "") or None


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
