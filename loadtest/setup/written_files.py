"""What a person writes and types to deploy a model this way, counted from the files that server.toml names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from loadtest.errors import UsageError
from loadtest.servers.artifact import ROOT
from loadtest.servers.server_folder import Server
from loadtest.setup.code_lines import count_lines
from loadtest.setup.config_keys import read_settings
from loadtest.setup.declared import DeclaredSetup
from loadtest.setup.readme_commands import commands_of

WrittenKind = Literal["configuration", "code", "export", "image"]
WRITTEN_KINDS: tuple[WrittenKind, ...] = get_args(WrittenKind)
EXPORTER = "models"
CODE = {".py", ".sh"}


@dataclass(frozen=True)
class WrittenFile:
    """A file that a person writes.

    Attributes:
        path: Relative to the project.
        kind: One of `WRITTEN_KINDS`: configuration; code (handler or application); export; image (a Dockerfile).
        lines: Lines that are neither blank nor comment nor docstring.
        keys: Keys that it sets; None where its format has no keys.
        changed: Those of them that differ from the server's own default; None where its format has no keys.
    """

    path: str
    kind: WrittenKind
    lines: int
    keys: int | None
    changed: int | None


@dataclass(frozen=True)
class KindTotal:
    """Files of one kind and their lines."""

    files: int
    lines: int

    @classmethod
    def of(cls, files: Sequence[WrittenFile]) -> "KindTotal":
        """Add up files."""
        return cls(len(files), sum(file.lines for file in files))


@dataclass(frozen=True)
class WrittenByHand:
    """All that a person writes and types.

    Attributes:
        files: The files.
        by_kind: Number of files and lines of each kind.
        lines: Lines of all files.
        keys_set: Keys set in all files.
        keys_changed: Keys set to something else than the server's own default.
        flags: Flags of the launch command.
        environment: Variables that the launch sets.
        commands: Commands of the README, from the checkout to the first prediction.
    """

    files: tuple[WrittenFile, ...]
    by_kind: dict[WrittenKind, KindTotal]
    lines: int
    keys_set: int
    keys_changed: int
    flags: tuple[str, ...]
    environment: tuple[str, ...]
    commands: tuple[str, ...]


def count_written(server: Server, declared: DeclaredSetup, root: Path = ROOT) -> WrittenByHand:
    """Count what a person writes for a server.

    Args:
        server: The server; what counts is its ``written_files``, its launch command and its README.md.
        declared: Its own defaults.
        root: The project's top level.

    Raises:
        UsageError: If a file is missing or cannot be counted.
    """
    launch = server.launch()
    readme = server.folder / "README.md"
    try:
        text = readme.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{readme} cannot be read ({error.strerror}): every server folder has one") from error
    files = tuple(_count(server.folder / name, declared.defaults.get(name, {}), root) for name in server.written_files)
    return WrittenByHand(
        files=files,
        by_kind={kind: KindTotal.of([file for file in files if file.kind == kind]) for kind in WRITTEN_KINDS},
        lines=sum(file.lines for file in files),
        keys_set=sum(file.keys or 0 for file in files),
        keys_changed=sum(file.changed or 0 for file in files),
        flags=tuple(word.partition("=")[0] for word in launch.command if word.startswith("--")),
        environment=tuple(launch.env),
        commands=tuple(commands_of(text)),
    )


def _count(path: Path, defaults: Mapping[str, str], root: Path) -> WrittenFile:
    path = path.resolve()
    settings = read_settings(path)
    name = path.relative_to(root.resolve()) if path.is_relative_to(root.resolve()) else path
    return WrittenFile(
        path=str(name),
        kind=_kind(name),
        lines=count_lines(path),
        keys=None if settings is None else len(settings),
        changed=None if settings is None else sum(1 for key, value in settings if defaults.get(key) != value),
    )


def _kind(path: Path) -> WrittenKind:
    if path.name.startswith("Dockerfile"):
        return "image"
    if path.parts[0] == EXPORTER:
        return "export"
    return "code" if path.suffix in CODE else "configuration"
