"""What runs when the server idles: processes, threads, executables, ports and memory, read from the process tree."""

import contextlib
import socket
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from loadtest.launch.local import LocalServer
from loadtest.launch.running import RunningServer

LANGUAGES = {"java": "Java", "python": "Python", "pypy": "Python", "node": "JavaScript"}
"""Interpreter or virtual machine, by how the name of its executable begins; anything else is native code."""


@dataclass(frozen=True)
class ListeningPort:
    """A TCP port that the server listens on.

    Attributes:
        port: Its number in this run.
        address: The address it is bound to.
        role: Its name in ``[ports]``; empty for one that is not declared.
    """

    port: int
    address: str
    role: str


@dataclass(frozen=True)
class IdleProcesses:
    """The processes of an idle server.

    Attributes:
        processes: Number of processes.
        threads: Number of threads of all of them.
        resident_mib: Memory in MiB. Local: proportional set size. Container: see `loadtest.machine.usage.Usage`.
        executables: Processes by the name of their executable; empty for a container, which hides them.
        languages: Processes by what their executable runs; empty likewise.
        ports: TCP ports it listens on; empty likewise.
        unix_sockets: UNIX sockets with a path that it has open.
    """

    processes: int
    threads: int
    resident_mib: float
    executables: dict[str, int]
    languages: dict[str, int]
    ports: tuple[ListeningPort, ...]
    unix_sockets: int


def read_idle_processes(running: RunningServer, idle_s: float = 1.0) -> IdleProcesses | None:
    """Read the process tree of a started server once it idles.

    Args:
        running: It has answered at least once.
        idle_s: How long it is left alone before, in seconds.

    Returns:
        None where nothing is known of its processes.
    """
    read = running.usage_if_known()
    if read is None:
        return None
    time.sleep(idle_s)
    usage = read()
    parts = IdleProcesses(usage.processes, usage.threads, round(usage.resident_mib, 1), {}, {}, (), 0)
    if not isinstance(running, LocalServer):
        return parts
    top = psutil.Process(running.pid)
    tree = [top, *top.children(recursive=True)]
    executables: Counter[str] = Counter()
    for process in tree:
        with contextlib.suppress(psutil.Error):
            executables[Path(process.exe()).name] += 1
    languages: Counter[str] = Counter()
    for name, count in executables.items():
        languages[language_of(name)] += count
    return replace(
        parts,
        executables=dict(executables),
        languages=dict(languages),
        ports=_ports(running, tree),
        unix_sockets=_unix_sockets(tree),
    )


def language_of(executable: str) -> str:
    """What an executable runs, by its name: ``python3.11`` is Python, an unknown one is native code."""
    return next((language for name, language in LANGUAGES.items() if executable.startswith(name)), "native code")


def _ports(running: RunningServer, tree: list[psutil.Process]) -> tuple[ListeningPort, ...]:
    roles = {port: role for role, port in running.ports.items()}
    found = set()
    for process in tree:
        with contextlib.suppress(psutil.Error):
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    address, port = connection.laddr
                    found.add(ListeningPort(port, address, roles.get(port, "")))
    return tuple(sorted(found, key=lambda one: (one.role == "", one.role, one.port)))


def _unix_sockets(tree: list[psutil.Process]) -> int:
    """Count the sockets with a path of their own; a connection to one bears the same path."""
    paths = set()
    for process in tree:
        with contextlib.suppress(psutil.Error):
            sockets = process.net_connections("unix")
            paths |= {one.laddr for one in sockets if one.laddr and one.type == socket.SOCK_STREAM}
    return len(paths)
