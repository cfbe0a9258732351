"""What installing a server brings along: every package that its extra needs, directly or not, from package metadata.

The requirements are those of pyproject.toml and of each package's METADATA (core metadata 2.x, ``Requires-Dist``),
with markers and extras evaluated for this interpreter. Nothing is downloaded: the sizes are those of this environment.
"""

import importlib.metadata
import tomllib
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from loadtest.errors import UsageError
from loadtest.servers.artifact import ROOT


@dataclass(frozen=True)
class InstalledPackage:
    """A package of this environment.

    Attributes:
        name: Its name.
        version: Its version.
        files: Number of its files.
        bytes: Size of them; bytecode, which Python writes itself, is not counted.
    """

    name: str
    version: str
    files: int
    bytes: int


@dataclass(frozen=True)
class InstalledPackages:
    """The packages that an extra of pyproject.toml leads to.

    Attributes:
        extra: The extra.
        count: Number of packages that are installed here.
        bytes: Size of them.
        missing: Names of those that are not installed; with missing ones the figures are too small.
        packages: Those that are installed, the largest first.
    """

    extra: str
    count: int
    bytes: int
    missing: tuple[str, ...]
    packages: tuple[InstalledPackage, ...]


def packages_of_extra(extra: str) -> InstalledPackages:
    """Everything that an extra of pyproject.toml installs.

    Raises:
        UsageError: If there is no such extra, or pyproject.toml cannot be read.
    """
    packages, missing = find_packages(requirements_of(extra))
    return InstalledPackages(extra, len(packages), sum(package.bytes for package in packages), missing, packages)


def requirements_of(extra: str, pyproject: Path = ROOT / "pyproject.toml") -> list[str]:
    """The requirements of an extra of pyproject.toml.

    Raises:
        UsageError: If there is no such extra, or the file cannot be read.
    """
    try:
        extras = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"the requirements cannot be read from {pyproject}: {error}") from error
    if extra not in extras:
        raise UsageError(f"{pyproject} has no extra {extra!r}; there are: {', '.join(extras)}")
    return [str(requirement) for requirement in extras[extra]]


def find_packages(requirements: Iterable[str]) -> tuple[tuple[InstalledPackage, ...], tuple[str, ...]]:
    """Walk from requirements to every package that they lead to.

    Args:
        requirements: As in pyproject.toml (PEP 508).

    Returns:
        Those that are installed here, the largest first; and the names of those that are not.

    Raises:
        UsageError: If one of the given requirements cannot be parsed.
    """
    try:
        queue = deque((Requirement(text), frozenset[str]()) for text in requirements)
    except InvalidRequirement as error:
        raise UsageError(f"a requirement cannot be parsed: {error}") from error
    seen: set[tuple[str, str]] = set()
    packages: dict[str, InstalledPackage] = {}
    missing: set[str] = set()
    while queue:
        requirement, asked_with = queue.popleft()
        if requirement.marker is not None and not any(
            requirement.marker.evaluate({"extra": extra}) for extra in asked_with or {""}
        ):
            continue
        name = canonicalize_name(requirement.name)
        new = {extra for extra in ("", *requirement.extras) if (name, extra) not in seen}
        if not new:
            continue
        seen |= {(name, extra) for extra in new}
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            missing.add(name)
            continue
        if name not in packages:
            packages[name] = _measure(name, distribution)
        queue.extend((Requirement(text), frozenset({*new, ""})) for text in distribution.requires or ())
    largest_first = sorted(packages.values(), key=lambda package: (-package.bytes, package.name))
    return tuple(largest_first), tuple(sorted(missing))


def _measure(name: str, distribution: importlib.metadata.Distribution) -> InstalledPackage:
    files = size = 0
    for file in distribution.files or ():
        if file.suffix == ".pyc":
            continue
        try:
            size += Path(str(distribution.locate_file(file))).lstat().st_size
            files += 1
        except OSError:
            continue  # named in RECORD and since removed: what is not there takes no room
    return InstalledPackage(name, distribution.version, files, size)
