"""Starts servers as plain processes of this machine, without Docker."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from loadtest.errors import LaunchError
from loadtest.launch.first_prediction import Until, await_first_prediction
from loadtest.launch.running import LOG_LINES, RunningServer, ending_of, tail
from loadtest.machine.ending import held_signals, with_parent
from loadtest.machine.holdings import Holdings, tree_holdings
from loadtest.machine.placement import Placement, running_on
from loadtest.machine.ports import free_ports, is_free, listener
from loadtest.machine.process_tree import kill_processes, process_tree, tree_usage
from loadtest.machine.run_folder import RunFolder
from loadtest.machine.usage import Usage
from loadtest.servers.artifact import ROOT, Artifact
from loadtest.servers.server_folder import LaunchCommand, Server, fill

HOST = "127.0.0.1"
STOP_S = 10.0
VERSION_S = 30.0
RUN_DIR = "RUN_DIR"
"""The scratch folder in a result: its real name is another one in each start."""


class LocalServer(RunningServer):
    """A server that runs as a child process, in a session of its own, with its output in a log file.

    Attributes:
        command: The words it was started with.
    """

    def __init__(self, server: Server, artifact: Artifact, ports: dict[str, int], placement: Placement) -> None:
        launch = server.launch()
        super().__init__(server, artifact, launch.label or server.label, HOST, ports)
        self._placement = placement
        with contextlib.ExitStack() as undo:
            self._folder = RunFolder(server.name)
            undo.callback(self._folder.close)
            self._log = self._folder.path / "server.log"
            self._start(launch)
            undo.pop_all()

    def _start(self, launch: LaunchCommand) -> None:
        server, placement = self.server, self._placement
        context = {
            **self._context,
            "python": sys.executable,
            "here": server.folder,
            "root": ROOT,
            "artifact": self.artifact.folder.resolve(),
            "threads": placement.server_threads,
            "shapes": self.artifact.shapes,
            "run_dir": self._folder.path,
            **server.names,
        }
        self.command = [fill(word, context) for word in launch.command]
        self._version_command = [fill(word, context) for word in launch.version]
        env = {name: fill(value, context) for name, value in launch.env.items()}
        shown = {
            **context,
            "python": _shown(Path(sys.executable)),
            "here": _shown(server.folder),
            "root": ".",
            "artifact": _shown(self.artifact.folder),
            "run_dir": RUN_DIR,
            **{name: _shown(value) if isinstance(value, Path) else value for name, value in server.names.items()},
        }
        self._described = {
            "command": [fill(word, shown) for word in launch.command],
            "env": {name: fill(value, shown) for name, value in launch.env.items() if not server.is_secret(name)},
            "cores": list(placement.server),
        }
        self.started = time.monotonic()
        with self._log.open("wb") as log, running_on(placement.server):
            try:
                # A session of its own: Ctrl-C reaches this program alone, which then ends the servers in order.
                self._process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **env},
                    cwd=ROOT,
                    start_new_session=True,
                    pass_fds=(self._folder.lock,),  # its folder is in use as long as the server is there
                    preexec_fn=with_parent(),
                )
            except OSError as error:
                raise LaunchError(f"{server.key} cannot be started: {error}") from error

    @property
    def pid(self) -> int:
        """Process id of the topmost process."""
        return self._process.pid

    def raise_if_ended(self) -> None:
        """Raise `LaunchError` with the last log lines where the process has ended."""
        ending = self.ending()
        if ending:
            raise LaunchError(f"{self.server.key} ended with {ending}; its last lines:\n{self.log_tail()}")

    def ending(self) -> str:
        """How the process ended, in words; empty while it lives."""
        code = self._process.poll()
        return "" if code is None else ending_of(code)

    def log_tail(self, lines: int = LOG_LINES) -> str:
        """The last lines that the server printed."""
        return tail(self._log, lines)

    def send_signal(self, name: str) -> None:
        """Send a signal such as ``SIGHUP`` to the topmost process; nothing happens where it has ended."""
        self._process.send_signal(signal.Signals[name])

    def processes(self) -> list[psutil.Process]:
        """The process tree."""
        return process_tree(self._process.pid)

    def usage(self) -> Usage:
        """CPU and memory of the process tree."""
        return tree_usage(self._process.pid)

    def holdings(self) -> Holdings:
        """What the process tree holds."""
        return tree_holdings(self._process.pid)

    def describe(self) -> dict[str, Any]:
        """The command, its environment, the cores it was given and, where the contract says how, the version.

        Folders are those in the project, so that a result can be published as it is.
        """
        return {**self._described, "version": self._version} if self._version_command else self._described

    @cached_property
    def _version(self) -> str:
        """What the program says of its version; ``unknown`` where it cannot be asked."""
        return program_version(self._version_command)

    def stop(self) -> None:
        """Ask the process to end, wait, then kill whatever is left of its tree and session."""
        family = process_tree(self._process.pid)
        try:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
        finally:  # a second Ctrl-C shortens the patience and leaves nothing either
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            self._process.wait()
            kill_processes(family, STOP_S)
            self._folder.close()


def start_local(
    server: Server,
    artifact: Artifact,
    placement: Placement,
    *,
    any_port: bool = False,
    timeout_s: float = 120.0,
    until: Until = await_first_prediction,
) -> LocalServer:
    """Start a server and wait until its start is over.

    Args:
        server: Which one.
        artifact: The model to serve.
        placement: Cores of the server.
        any_port: Take free ports in place of the default ones.
        timeout_s: Patience until then, in seconds.
        until: What waits for the end of the start.

    Raises:
        LaunchError: If a port is taken, or the server ends or does not become ready; nothing is left running.
        ParityError: If it answers wrongly.
    """
    ports = free_ports(server.ports, HOST) if any_port else dict(server.ports)
    for role, port in ports.items():
        _require_free(server, role, port)
    with contextlib.ExitStack() as undo:
        with held_signals():
            running = LocalServer(server, artifact, ports, placement)
            undo.callback(running.stop)
        until(running, running.started, timeout_s)
        undo.pop_all()
    return running


def program_version(command: Sequence[str]) -> str:
    """What a program prints of its version; ``unknown`` where it cannot be asked.

    Args:
        command: Its words.
    """
    try:
        said = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=VERSION_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return "; ".join(filter(None, map(str.strip, said.stdout.splitlines()))) or "unknown"


def _shown(path: Path) -> str:
    """A path as a result holds it: relative to the project where it is in it."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def _require_free(server: Server, role: str, port: int) -> None:
    if not is_free(port, HOST):
        owner = listener(port)
        raise LaunchError(
            f"port {port} ({role} of {server.key}) is in use{f' by {owner}' if owner else ''}: "
            "end that program, or add --any-port"
        )
