"""What a server that is a program of its own has installed: its executable and the shared libraries that it loads."""

import contextlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from loadtest.launch.local import LocalServer
from loadtest.launch.running import RunningServer

_C_LIBRARY = re.compile(
    r"(ld-(linux|musl).*|lib(c|m|mvec|dl|pthread|rt|resolv|util|nsl|anl|nss_\w+))(-[\d.]+)?\.so[\d.]*"
)
"""The C library and its loader: every machine has them, so nobody installs them for a server."""


@dataclass(frozen=True)
class ProgramFile:
    """A file of the program."""

    name: str
    bytes: int


@dataclass(frozen=True)
class InstalledProgram:
    """A server that runs outside of this Python environment.

    Attributes:
        executable: Name of the executable of its first process.
        bytes: Size of all files.
        files: Its executables and the shared libraries that it has loaded, the largest first.
    """

    executable: str
    bytes: int
    files: tuple[ProgramFile, ...]


def read_program(running: RunningServer) -> InstalledProgram | None:
    """Read which files a running server consists of.

    Counted is what its processes have mapped as code, and the file that its command names where that is a script
    which starts another. The C library is left out; where the system does not tell what is mapped (macOS), libraries
    are.

    Returns:
        None for a server in this Python environment or that has ended, and for a container, which hides its files.
    """
    if not isinstance(running, LocalServer) or running.server.launch().in_python:
        return None
    command = shutil.which(running.command[0])
    found = [Path(command)] if command else []
    try:
        top = psutil.Process(running.pid)
        executable = Path(top.exe())
        family = [top, *top.children(recursive=True)]
    except psutil.Error:  # it has just ended
        return None
    for process in family:
        with contextlib.suppress(psutil.Error):
            found += [Path(process.exe()), *_mapped_code(process)]
    files = {path.resolve() for path in found if path.is_file() and not _C_LIBRARY.fullmatch(path.name)}
    sizes = sorted(
        (ProgramFile(path.name, path.stat().st_size) for path in files), key=lambda one: (-one.bytes, one.name)
    )
    return InstalledProgram(executable.name, sum(file.bytes for file in sizes), tuple(sizes))


def _mapped_code(process: psutil.Process) -> Iterator[Path]:
    read = getattr(process, "memory_maps", None)
    for area in read(grouped=False) if read else ():
        if "x" in area.perms and area.path.startswith("/"):
            yield Path(area.path)
