"""What a person writes and types to deploy a model this way, counted from the files that server.toml names.

One rule for every server: counted is what the server's processes read or import of this project, and what turns trained
weights into the files that it loads. Of Python code server.toml names where it begins; what that imports is found in
its text. Left out is the model, which is there before anybody chooses a server. docs/setup-effort.md has the rule.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from loadtest.errors import UsageError
from loadtest.servers.artifact import ROOT
from loadtest.servers.server_folder import LaunchCommand, Server
from loadtest.setup.code_lines import count_lines
from loadtest.setup.config_keys import read_settings
from loadtest.setup.declared import DeclaredSetup
from loadtest.setup.project_imports import imported_files
from loadtest.setup.readme_commands import commands_of

WrittenKind = Literal["configuration", "code", "operation", "export", "image", "other_wires"]
WRITTEN_KINDS: tuple[WrittenKind, ...] = get_args(WrittenKind)
EXPORTER = "models"
MODEL = "models/workload.py"
"""The contract of a model. It and what it imports are no server's, and neither are the models that it describes."""

CODE = {".py", ".sh"}
COUNTING = 4
"""Version of the rule. 3 counted what operates a server among the code; 2 counted what other wire formats need among
the code and the export as well; 1 counted the files that were listed, which named the export of the SavedModel alone
in full."""


@dataclass(frozen=True)
class WrittenFile:
    """A file that a person writes.

    Attributes:
        path: Relative to the project.
        kind: One of `WRITTEN_KINDS`: configuration; code (handler or application); operation (code for metrics, a
            token and the like, which no prediction needs); export; image (a Dockerfile); other_wires (code or export
            that only other wire formats than REST with JSON need).
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
        lines: Lines of all files but those for other wire formats.
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


def for_json(files: Iterable[WrittenFile]) -> list[WrittenFile]:
    """Those that a deployment over REST with JSON needs: what sums are of."""
    return [file for file in files if file.kind != "other_wires"]


def count_written(server: Server, declared: DeclaredSetup, root: Path = ROOT) -> WrittenByHand:
    """Count what a person writes for a server.

    Args:
        server: The server; what counts is its ``written_files`` with what they import, its launch command and its
            README.md. A stand-in counts as the server it stands for.
        declared: Its own defaults.
        root: The project's top level.

    Raises:
        UsageError: If a file is missing or cannot be counted.
    """
    launch = _deployed(server)
    readme = server.folder / "README.md"
    try:
        text = readme.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{readme} cannot be read ({error.strerror}): every server folder has one") from error
    defaults = {(server.folder / name).resolve(): keys for name, keys in declared.defaults.items()}
    needed = needed_files([server.folder / name for name in server.written_files], root)
    named: dict[WrittenKind, Sequence[str]] = {
        "other_wires": declared.wire_files,
        "operation": declared.operation_files,
        "image": declared.image_files,
    }
    kinds = {(server.folder / name).resolve(): kind for kind, names in named.items() for name in names}
    files = tuple(_count(path, defaults.get(path, {}), root, kinds.get(path)) for path in needed)
    return WrittenByHand(
        files=files,
        by_kind={kind: KindTotal.of([file for file in files if file.kind == kind]) for kind in WRITTEN_KINDS},
        lines=sum(file.lines for file in for_json(files)),
        keys_set=sum(file.keys or 0 for file in files),
        keys_changed=sum(file.changed or 0 for file in files),
        flags=tuple(word.partition("=")[0] for word in launch.command if word.startswith("--")),
        environment=tuple(launch.env),
        commands=tuple(commands_of(text)),
    )


def needed_files(declared: Sequence[Path], root: Path = ROOT) -> list[Path]:
    """The files that count: those that are declared, and what the Python code among them imports of this project.

    Args:
        declared: Files, each once.
        root: The project's top level.

    Raises:
        UsageError: If a Python file is missing or none.
    """
    given = list(dict.fromkeys(path.resolve() for path in declared))
    python = [path for path in given if path.suffix == ".py"]
    model = set(imported_files([root / MODEL], root)) if (root / MODEL).is_file() else set()
    # A package's __init__.py is imported with each of its modules, and most hold no code.
    found = [path for path in imported_files(python, root) if path not in given and count_lines(path)]
    return [*given, *(path for path in found if path not in model)]


def _deployed(server: Server) -> LaunchCommand:
    """The launch whose flags and variables a person types: of a stand-in, those of what it stands for."""
    launch = server.launch()
    real = (other for other in server.launches if not other.stands_in_for)
    return next(real, launch) if launch.stands_in_for else launch


def _count(path: Path, defaults: Mapping[str, str], root: Path, declared: WrittenKind | None) -> WrittenFile:
    settings = read_settings(path)
    name = path.relative_to(root.resolve()) if path.is_relative_to(root.resolve()) else path
    return WrittenFile(
        path=str(name),
        kind=declared or _kind(name),
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
