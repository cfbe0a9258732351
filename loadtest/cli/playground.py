"""``loadtest playground``: draw a digit or take a photograph, and see what each server answers."""

from pathlib import Path

import click

from loadtest.cli.common import stdout
from loadtest.cli.numbers import Number
from loadtest.playground.known_servers import known_servers
from loadtest.playground.page_files import PageFiles
from loadtest.playground.page_models import page_models
from loadtest.playground.page_server import PageServer
from loadtest.servers.server_toml import MAX_PORT, load_servers

DEFAULT_PORT = 8600
PORT = Number(int, 0, MAX_PORT)


@click.command()
@click.option(
    "--servers",
    metavar="A,B",
    help="Servers to ask, comma-separated; NAME=PORT where one is not at its default port. Default: all.",
)
@click.option("--port", type=PORT, default=DEFAULT_PORT, show_default=True, help="Of the page; 0: a free one.")
@click.option(
    "--models",
    type=click.Path(path_type=Path),
    help="Folder of models for the page beside that of digits: what python -m models devices --keep DIR leaves.",
)
@click.option("--open", "show", is_flag=True, help="Open the page in the browser.")
def playground(servers: str | None, port: int, models: Path | None, show: bool) -> None:
    """Serve a page that draws a digit: answered in the page itself, and by each server that is up.

    The page is docs/playground/; scripts/playground installs the runtime of its own model. Requests to the servers go
    through this command, on this machine's loopback only.
    """
    files = PageFiles(models)
    with PageServer(port, files, known_servers(servers, load_servers()), page_models()) as server:
        stdout.print(f"[bold]{server.url}[/bold]  (Ctrl-C ends it)")
        if not files.has_runtime():
            stdout.print("The page's own model needs its runtime: scripts/playground installs it.")
        if show:
            click.launch(server.url)
        server.serve_forever()
