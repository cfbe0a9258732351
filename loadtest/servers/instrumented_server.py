"""A server that tells its CPU time by layer: what it is started with, or why it cannot tell."""

from dataclasses import replace
from pathlib import Path

from loadtest.servers.server_folder import Server


def instrumented(server: Server, folder: Path) -> Server:
    """The server with its counters switched on.

    Args:
        server: One that has the table.
        folder: Where its processes keep their counters.
    """
    assert server.layers is not None
    env = server.layers.env
    return replace(
        server,
        launches=tuple(replace(launch, env={**launch.env, **env}) for launch in server.launches),
        names={**server.names, "layers_dir": folder},
    )


def why_no_layers(server: Server) -> str:
    """Why it cannot be told where its CPU time goes, as it would be started here; empty where it can.

    Raises:
        UsageError: If it cannot be started here at all.
    """
    if server.layers is None:
        return "its server.toml has no [layers]"
    return server.launch().no_layers
