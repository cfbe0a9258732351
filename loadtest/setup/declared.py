"""The table ``[setup]`` of a server.toml: what the load tester cannot find out without being told.

It names addresses, files and settings, never an outcome: whether a server *can* do a thing is what the probes find
out. Every key is optional. Strings are templates like those of the launch command; `NewVersion`, `SettingChange` and
`ProcedureRequest` may use ``{next}`` too, the version after ``{version}``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from loadtest.errors import UsageError
from loadtest.servers.server_folder import HttpGet, Server

T = TypeVar("T")


@dataclass(frozen=True)
class ProcedureRequest:
    """A request without a body that is part of a procedure, such as registering a model.

    Attributes:
        method: HTTP method.
        port: Name of the port in ``[ports]``.
        path: Path template.
    """

    method: str
    port: str
    path: str


@dataclass(frozen=True)
class SettingChange:
    """What a person changes to have a capability that the server does not have as this project starts it.

    Attributes:
        setting: The change in words; the table shows it in the capability's cell.
        args: Added to the launch command.
        env: Templates of variables that are set for it.
        files: Text (a template) that is added at the end of a file of the folder, which is made where it is missing.
        requests: Sent in this order once the server runs.
    """

    setting: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    requests: tuple[ProcedureRequest, ...] = ()


@dataclass(frozen=True)
class NewVersion:
    """How the next version of a model is laid down beside the present one, relative to the artifact.

    Attributes:
        source: File or folder of the present version.
        target: Where its copy goes.
        member: JSON file in it, a zip archive or a folder, in which the version stands.
        key: Key of the version in it, nested keys joined by dots.
    """

    source: str = "."
    target: str = "../{next}"
    member: str = ""
    key: str = ""


@dataclass(frozen=True)
class DeclaredBatching:
    """How batches are counted from outside.

    Attributes:
        variant: Variant of the server that batches.
        metric: Name of a counter on the metrics page that grows by one with every batch.
        log: Text of a line that the server prints once a batch.
    """

    variant: str
    metric: str = ""
    log: str = ""


@dataclass(frozen=True)
class DeclaredVersions:
    """How two versions are served at once.

    Attributes:
        predict: Path template of a prediction by ``{version}``.
        change: What it takes.
    """

    predict: str
    change: SettingChange = SettingChange()


@dataclass(frozen=True)
class DeclaredSwap:
    """How a new version takes the place of the present one in a running server.

    Attributes:
        active: Its answer holds the text once the new version serves.
        change: What it takes; its requests follow the new version's files.
        signal: Sent to the server's main process after these requests, such as ``SIGHUP``; nothing if empty.
        back: Requests that bring the present version back, once the new version's files are gone. The signal follows.
    """

    active: HttpGet
    change: SettingChange = SettingChange()
    signal: str = ""
    back: tuple[ProcedureRequest, ...] = ()


@dataclass(frozen=True)
class DeclaredSetup:
    """The table ``[setup]``.

    Attributes:
        extra: Extra of pyproject.toml that installs the server; an empty one if there is none.
        artifact_files: Patterns of the artifact's files that the server reads.
        image_files: Those of ``written_files`` that only the container reads; a Dockerfile need not be named.
        operation_files: Code, relative to the folder, that counts and that no prediction needs: metrics, a token, the
            exchange of the model and the like.
        wire_files: Files, relative to the folder, that count and that only other wire formats than ``rest`` need.
        defaults: The server's own default of configuration keys, by file; a key without one counts as changed.
        health: Address whose status alone says whether the server is up; that of the readiness probe if not given.
        metrics: Address of the metrics page.
        batching: How batches are counted; None where the server has no setting for them.
        new_version: How the next version of a model is laid down.
        versions: How two versions are served at once.
        hot_swap: How one version replaces the other.
        auth: What brings back the server's own default of asking for credentials, where this project turns it off.
    """

    extra: str
    artifact_files: tuple[str, ...] = ("**/*",)
    defaults: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    health: HttpGet | None = None
    metrics: HttpGet | None = None
    batching: DeclaredBatching | None = None
    new_version: NewVersion = NewVersion()
    versions: DeclaredVersions | None = None
    hot_swap: DeclaredSwap | None = None
    auth: SettingChange | None = None
    image_files: tuple[str, ...] = ()
    operation_files: tuple[str, ...] = ()
    wire_files: tuple[str, ...] = ()


def read_declared(server: Server) -> DeclaredSetup:
    """Read the table of a server.

    Raises:
        UsageError: If a key is unknown, is missing or has a value of the wrong type.
    """
    try:
        return _declared(server.name, dict(server.setup))
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise UsageError(f"{server.folder / 'server.toml'}: the table [setup] cannot be read: {error}") from error


def _declared(name: str, table: dict[str, Any]) -> DeclaredSetup:
    readers: dict[str, Callable[[Any], Any]] = {
        "extra": str,
        "artifact_files": tuple,
        "image_files": tuple,
        "operation_files": tuple,
        "wire_files": tuple,
        "defaults": dict,
        "health": lambda one: HttpGet(**one),
        "metrics": lambda one: HttpGet(**one),
        "batching": lambda one: DeclaredBatching(**one),
        "new_version": lambda one: NewVersion(**one),
        "versions": lambda one: DeclaredVersions(one.pop("predict"), _change(one)),
        "hot_swap": _swap,
        "auth": _change,
    }
    unknown = sorted(set(table) - set(readers))
    if unknown:
        raise ValueError(f"unknown {', '.join(unknown)}; there are {', '.join(readers)}")
    return DeclaredSetup(**{"extra": name} | {key: readers[key](_copy(value)) for key, value in table.items()})


def _copy(value: T) -> T:
    return dict(value) if isinstance(value, dict) else value  # type: ignore[return-value]  # a dict for a dict


def _swap(table: dict[str, Any]) -> DeclaredSwap:
    active, signal = HttpGet(**table.pop("active")), str(table.pop("signal", ""))
    back = _requests(table.pop("back", ()))
    return DeclaredSwap(active, _change(table), signal, back)


def _change(table: dict[str, Any]) -> SettingChange:
    requests = _requests(table.pop("requests", ()))
    return SettingChange(args=tuple(table.pop("args", ())), requests=requests, **table)


def _requests(tables: Sequence[dict[str, Any]]) -> tuple[ProcedureRequest, ...]:
    return tuple(ProcedureRequest(**one) for one in tables)
