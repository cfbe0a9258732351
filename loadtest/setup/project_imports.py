"""The modules of a project that a file imports, directly or not, found in the text and without running it.

What a module imports inside of a function counts as well; what stands under ``if TYPE_CHECKING:`` does not, since it is
never run. A module that a program finds by a name it has put together (`importlib.import_module`) is not found here.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from loadtest.errors import UsageError


def imported_files(paths: list[Path], root: Path) -> list[Path]:
    """Find the files that Python runs for these, themselves included.

    Args:
        paths: Python files.
        root: The project's top level, from which its packages are imported. A file's own folder is looked into too,
            since that is where a script finds its neighbours.

    Returns:
        The files given, then those found, in the order in which they are found; ``__init__.py`` of packages too.

    Raises:
        UsageError: If one of them cannot be read, or is no Python.
    """
    found = list(dict.fromkeys(path.resolve() for path in paths))
    for path in found:  # grows meanwhile
        found += [other for other in dict.fromkeys(_imports(path, root.resolve())) if other not in found]
    return found


def _imports(path: Path, root: Path) -> Iterator[Path]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, SyntaxError) as error:
        raise UsageError(f"what {path} imports cannot be read: {error}") from error
    for name in _names(tree, _package(path, root)):
        for base in (root, path.parent):
            yield from _files_of(name, base)


def _package(path: Path, root: Path) -> list[str]:
    """The package in which a file lies, by which a relative import is meant."""
    return list(path.parent.relative_to(root).parts) if path.is_relative_to(root) else []


def _names(tree: ast.AST, package: list[str]) -> Iterator[str]:
    """Dotted names that may be modules; of ``from a import b`` both a and a.b, since b may be one."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from (name for other in node.orelse for name in _names(ast.Module([other], []), package))
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        else:
            yield from _names(node, package)


def _files_of(name: str, base: Path) -> Iterator[Path]:
    """The files that importing a name runs: each package's ``__init__.py`` on the way, and the module's own."""
    place = base
    for part in name.split("."):
        place = place / part
        if (place / "__init__.py").is_file():
            yield place / "__init__.py"
    if name and place.with_suffix(".py").is_file():
        yield place.with_suffix(".py")
