"""Options and words that several commands share."""

import contextlib
import functools
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from loadtest.cli.numbers import COUNT, SECONDS, SEED
from loadtest.errors import UsageError
from loadtest.launch.launcher import Launcher, LocalLauncher
from loadtest.launch.network import NetworkLauncher
from loadtest.launch.running import RunningServer
from loadtest.load.clients import Progress
from loadtest.machine import files
from loadtest.machine.placement import choose_placement
from loadtest.records import to_json
from loadtest.servers.artifact import built_workloads, load_artifact
from loadtest.servers.server_folder import DEFAULT_WIRE, Server
from loadtest.servers.server_toml import load_servers, select_servers
from loadtest.wire.formats import find_wire, wire_names

stdout = Console(soft_wrap=True, highlight=False)
stderr = Console(stderr=True, highlight=False)

servers_option = click.option(
    "--servers", default=None, metavar="A,B", help="Servers, comma-separated; NAME:VARIANT for a variant. Default: all."
)
workload_option = click.option("--workload", default="digits", show_default=True, help="Which model.")
workloads_option = click.option(
    "--workload",
    "workloads",
    default="digits",
    show_default=True,
    metavar="A,B",
    help="Which models, comma-separated; all: every one that is built.",
)
batch_option = click.option("--batch", type=COUNT, default=1, show_default=True, help="Instances in one request.")
wire_option = click.option(
    "--wire",
    default=DEFAULT_WIRE,
    show_default=True,
    help=f"Wire format, that the server speaks: {', '.join(wire_names())}.",
)
ALL_WIRES = "all"
"""Names every wire format that one of the servers speaks, and in which the models can be asked."""

wires_option = click.option(
    "--wires",
    default=DEFAULT_WIRE,
    show_default=True,
    metavar="A,B",
    help=f"Wire formats, comma-separated: {', '.join(wire_names())}; all: every one that a server speaks. "
    "Each server is measured over each of them that it speaks; encoded pictures are a comparison of their own.",
)
seed_option = click.option("--seed", type=SEED, default=1, show_default=True, help="Of the schedules.")


@dataclass(frozen=True)
class LaunchOptions:
    """How servers are started.

    Attributes:
        how: Name of the launcher.
        pin: Whether client and servers get cores of their own.
        any_port: Whether free ports are taken in place of the default ones.
        start_timeout: Seconds until the first prediction.
    """

    how: str
    pin: bool
    any_port: bool
    start_timeout: float

    def launchers(self, workloads: Sequence[str]) -> dict[str, Launcher]:
        """One launcher for each model, to be used and closed one after the other.

        Raises:
            UsageError: If the launcher uses servers that are up, and there are several models.
        """
        if self.how == "network" and len(workloads) > 1:
            raise UsageError("--launcher network uses the servers that are up, and they serve one model: name one")
        return {workload: self.launcher(workload) for workload in workloads}

    def launcher(self, workload: str, *, client_cores: int = 1, published: bool = False) -> Launcher:
        """The launcher, which is closed when the command ends.

        Args:
            workload: Which model.
            client_cores: Cores for the client.
            published: Under compose, ask at the published ports and not at the containers' own addresses.
        """
        if self.any_port and self.how != "local":
            raise UsageError("--any-port is for --launcher local; compose has its ports from .env (see .env.example)")
        launcher: Launcher
        if self.how == "compose":
            # Imported here, since the Docker SDK takes time that the other launchers need not spend.
            from loadtest.launch.compose import ComposeLauncher
            from loadtest.launch.compose_project import ComposeProject

            launcher = ComposeLauncher(
                workload,
                ComposeProject(environment={**os.environ, "WORKLOAD": workload}),
                pin=self.pin,
                client_cores=client_cores,
                timeout_s=self.start_timeout,
                published=published,
                say=lambda line: stderr.print(f"[dim]{line}[/dim]"),
            )
        elif self.how == "network":
            launcher = NetworkLauncher.from_environment(
                workload, pin=self.pin, client_cores=client_cores, timeout_s=self.start_timeout
            )
        else:
            placement = choose_placement(pin=self.pin, client_cores=client_cores)
            launcher = LocalLauncher(load_artifact(workload), placement, self.any_port, self.start_timeout)
        click.get_current_context().call_on_close(launcher.close)
        return launcher


def launch_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what says how servers are started; the command gets it as `LaunchOptions` in its argument ``launch``."""

    @functools.wraps(command)
    def collected(*arguments: Any, **options: Any) -> Any:
        names = [field.name for field in fields(LaunchOptions)]
        launch = LaunchOptions(**{name: options.pop(name) for name in names})
        return command(*arguments, launch=launch, **options)

    for option in (
        click.option(
            "--launcher",
            "how",
            type=click.Choice(("local", "compose", "network")),
            default="local",
            show_default=True,
            envvar="LOADTEST_LAUNCHER",
            help="Processes of this machine, containers of compose.yaml, or (in a container) those that are up.",
        ),
        click.option(
            "--start-timeout",
            type=SECONDS,
            default=120.0,
            show_default=True,
            help="Seconds until the first prediction.",
        ),
        click.option("--any-port", is_flag=True, help="Take free ports in place of the default ones."),
        click.option(
            "--pin/--no-pin", default=True, show_default=True, help="Client on one core, servers on the others."
        ),
    ):
        collected = option(collected)
    return collected


def chosen_workloads(workloads: str) -> list[str]:
    """The models that the option names.

    Raises:
        UsageError: If it names none, or all where nothing is built.
    """
    names = [name.strip() for name in workloads.split(",")]
    if names == ["all"]:
        names = built_workloads()
        if not names:
            raise UsageError("--workload all: nothing is built yet: python -m models build")
    if not all(names):
        raise UsageError(f"--workload {workloads!r} names no model between two commas; write it like digits,imagenet")
    return list(dict.fromkeys(names))


def chosen_wires(wires: str, servers: Sequence[Server]) -> list[str]:
    """The wire formats that the option names, or all that one of the servers speaks.

    Raises:
        UsageError: If there is none of a name.
    """
    names = [name.strip() for name in wires.split(",")]
    if names == [ALL_WIRES]:
        return list(dict.fromkeys(wire for server in servers for wire in server.wires))
    for name in names:
        find_wire(name)
    return list(dict.fromkeys(names))


def chosen(servers: str | None) -> list[Server]:
    """The servers that the option names."""
    return select_servers(servers, load_servers())


@contextlib.contextmanager
def reachable(server: Server, launcher: Launcher) -> Iterator[RunningServer]:
    """Use the server where it is up already; else start it for as long as the context lasts."""
    found = launcher.find(server)
    if found is not None:
        yield found
        return
    with status(f"starting {server.label}"):
        running = launcher.start(server)
    try:
        yield running
    finally:
        running.stop()


def check_writable(target: str | None) -> None:
    """Find out before a long run, and not after it, that its result cannot be written.

    Raises:
        UsageError: If the file, or standard output for ``-``, cannot be written.
    """
    if target == "-":
        if sys.stdout is None:
            raise UsageError("standard output is closed: name a file in place of -")
    elif target is not None:
        files.check_writable(Path(target))


def write_text(target: str, text: str) -> None:
    """Write to a file, or to standard output where the target is ``-``.

    Raises:
        UsageError: If it cannot be written.
    """
    if target == "-":
        sys.stdout.write(text)
    else:
        files.write_whole(Path(target), text)


def write_record(target: str, record: object) -> None:
    """Write the JSON of a record to a file, or to standard output where the target is ``-``.

    Raises:
        UsageError: If it cannot be written.
    """
    write_text(target, to_json(record).decode())


@contextlib.contextmanager
def status(text: str) -> Iterator[Callable[[str], None]]:
    """Show what is running on a terminal's last line; nothing is printed where there is no terminal."""
    if not stderr.is_terminal:
        yield lambda text: None
        return
    started = time.monotonic()
    # Two frames a second: drawing shares the core with the client.
    with stderr.status(text, refresh_per_second=2) as line:
        yield lambda text: line.update(f"{text} [dim]({time.monotonic() - started:.0f} s)[/dim]")


def following(update: Callable[[str], None], what: str) -> Callable[[Progress], None]:
    """Show what runs now, and return what shows its live numbers beside it."""
    update(what)
    return lambda progress: update(f"{what}: {progress}")
