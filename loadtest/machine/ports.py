"""TCP ports of this machine: which are free, and who has one that is not."""

import contextlib
import socket
from collections.abc import Iterable

import psutil


def free_ports(roles: Iterable[str], host: str) -> dict[str, int]:
    """Find a free port for each role.

    All of them are held until the last one is found, so no two are equal. Nothing holds them afterwards: another
    program may take one before the server does.

    Args:
        roles: What the ports are for, such as ``rest``.
        host: The address that they have to be free at.
    """
    with contextlib.ExitStack() as held:
        sockets = {role: held.enter_context(socket.socket()) for role in roles}
        for one in sockets.values():
            one.bind((host, 0))
        return {role: one.getsockname()[1] for role, one in sockets.items()}


def is_free(port: int, host: str) -> bool:
    """Whether a server could listen at this port of this address now."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is no obstacle
        try:
            tried.bind((host, port))
        except OSError:
            return False
    return True


def listener(port: int) -> str:
    """Name the program that listens at a port, as far as the system tells this user.

    Returns:
        For example ``python (pid 12)``; empty where it is not known.
    """
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
                if connection.pid:
                    return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
                return "another user's program"
    return ""
