"""Ports that are free, and ports that are not, with real sockets."""

import os
import socket

from loadtest.machine.ports import free_ports, is_free, listener

HOST = "127.0.0.1"


def test_free_ports_differ_and_can_be_listened_on() -> None:
    """Each role has a port of its own, and a server can have it."""
    roles = [f"role {number}" for number in range(20)]
    ports = free_ports(roles, HOST)
    assert list(ports) == roles
    assert len(set(ports.values())) == len(roles)
    for port in ports.values():
        assert is_free(port, HOST)
        socket.create_server((HOST, port)).close()


def test_a_port_in_use_is_seen_with_its_owner() -> None:
    """The owner is this program, and the port is free once it is closed."""
    with socket.create_server((HOST, 0)) as listening:
        port = listening.getsockname()[1]
        assert not is_free(port, HOST)
        assert listener(port).endswith(f"(pid {os.getpid()})")
    assert is_free(port, HOST)
    assert listener(port) == ""


def test_a_port_that_was_just_closed_is_free() -> None:
    """A connection in TIME_WAIT keeps no server from starting."""
    with socket.create_server((HOST, 0)) as listening:
        port = listening.getsockname()[1]
        with socket.create_connection((HOST, port)):
            listening.accept()[0].close()  # the side that closes first is the one that waits
    assert is_free(port, HOST)
