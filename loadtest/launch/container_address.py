"""Where the server in a container is asked: at the container's own address, or at its published ports."""

import socket

from docker.models.containers import Container

from loadtest.errors import LaunchError
from loadtest.servers.server_folder import Server


def published_ports(container: Container) -> dict[str, list[dict[str, str]]]:
    """The ports of a container that are published, such as ``8501/tcp``, and where."""
    ports: dict[str, list[dict[str, str]] | None] = container.attrs["NetworkSettings"]["Ports"]
    return {port: bindings for port, bindings in ports.items() if bindings}


def address_of(server: Server, container: Container, *, published: bool) -> tuple[str, dict[str, int]]:
    """Where to ask a server: its container's own address, or the published ports.

    Behind a port published on loopback there is docker-proxy, a process that copies every byte and that is no part of
    the server. So the container's address is taken where it can be reached, which is on Linux.

    Returns:
        Host, and the port of each role.

    Raises:
        LaunchError: If it can be reached in neither way.
    """
    networks = container.attrs["NetworkSettings"]["Networks"].values()
    for address in () if published else (network["IPAddress"] for network in networks if network["IPAddress"]):
        if _reachable(address, server.ports["rest"]):
            return address, dict(server.ports)
    bindings = published_ports(container)
    ports = {role: bindings[f"{port}/tcp"] for role, port in server.ports.items() if f"{port}/tcp" in bindings}
    if "rest" not in ports:
        raise LaunchError(f"{server.key}: its container publishes no port {server.ports['rest']}")
    host = ports["rest"][0]["HostIp"] or "127.0.0.1"
    return host, {role: int(binding[0]["HostPort"]) for role, binding in ports.items()}


def _reachable(address: str, port: int) -> bool:
    """Whether packets come back, be it with a refusal because nothing listens yet."""
    try:
        with socket.create_connection((address, port), timeout=1.0):
            return True
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
