"""``loadtest up``: start the servers and keep them up."""

import threading

import click

from loadtest.cli.common import LaunchOptions, chosen, launch_options, servers_option, stdout, workload_option
from loadtest.launch.launcher import running


@click.command()
@servers_option
@workload_option
@launch_options
def up(servers: str | None, workload: str, launch: LaunchOptions) -> None:
    """Start servers, print a curl line for each, and stop them on Ctrl-C."""
    wanted = chosen(servers)
    launcher = launch.launcher(workload, published=True)
    with running(launcher, wanted) as started:
        body = launcher.artifact.folder / "golden" / "request.json"
        for one in started:
            stdout.print(f"[bold]{one.label}[/bold]  {one.url}  (first answer after {one.first_prediction_s:.1f} s)")
            stdout.print(f"  curl -H 'Content-Type: application/json' -d @{body} {one.url}")
        stdout.print("Ctrl-C stops them.")
        while True:
            for one in started:
                one.raise_if_ended()
            threading.Event().wait(0.5)
