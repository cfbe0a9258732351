"""``loadtest servers``: what there is to measure."""

import click

from loadtest.cli.common import stdout
from loadtest.servers.server_toml import load_servers


@click.command()
def servers() -> None:
    """List the servers and their variants."""
    for key, server in load_servers().items():
        stdout.print(f"{key}: {server.label}")
