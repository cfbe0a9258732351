"""Starts servers as plain processes of this machine, without Docker."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import psutil

from loadtest.errors import LaunchError
from loadtest.launch.running import LOG_LINES, RunningServer, ending_of, tail
from loadtest.machine.placement import Placement, running_on
from loadtest.machine.run_folder import RunFolder
from loadtest.machine.usage import Usage, tree_usage
from loadtest.servers.artifact import ROOT, Artifact
from loadtest.servers.server_folder import Launch, Server, fill

HOST = "127.0.0.1"
STOP_S = 10.0
PR_SET_PDEATHSIG = 1


class LocalServer(RunningServer):
    """A server that runs as a child process, in a session of its own, with its output in a log file."""

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

    def _start(self, launch: Launch) -> None:
        server, placement = self.server, self._placement
        context = {
            **self._context,
            "python": sys.executable,
            "here": server.folder,
            "root": ROOT,
            "artifact": self.artifact.folder.resolve(),
            "threads": placement.server_threads,
            "run_dir": self._folder.path,
        }
        self._command = [fill(word, context) for word in launch.command]
        self._env = {name: fill(value, context) for name, value in launch.env.items()}
        self.started = time.monotonic()
        with self._log.open("wb") as log, running_on(placement.server):
            try:
                # A session of its own: Ctrl-C reaches this program alone, which then ends the servers in order.
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **self._env},
                    cwd=ROOT,
                    start_new_session=True,
                    pass_fds=(self._folder.lock,),  # its folder is in use as long as the server is there
                    preexec_fn=_end_with_parent if sys.platform == "linux" else None,
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
        """How the process ended."""
        code = self._process.poll()
        return "" if code is None else ending_of(code)

    def log_tail(self, lines: int = LOG_LINES) -> str:
        """The last lines that the server printed."""
        return tail(self._log, lines)

    def usage(self) -> Usage:
        """CPU and memory of the process tree."""
        return tree_usage(self._process.pid)

    def describe(self) -> dict[str, Any]:
        """The command, its environment and the cores it was given."""
        return {"command": self._command, "env": self._env, "cores": list(self._placement.server)}

    def stop(self) -> None:
        """Ask the process to end, wait, then kill whatever is left of its tree and session."""
        family = _family(self._process.pid)
        try:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
        finally:  # a second Ctrl-C shortens the patience and leaves nothing either
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self._process.wait()
            psutil.wait_procs(family, timeout=STOP_S)
            self._folder.close()


def start_local(
    server: Server,
    artifact: Artifact,
    placement: Placement,
    *,
    any_port: bool = False,
    timeout_s: float = 120.0,
) -> LocalServer:
    """Start a server and wait for its first correct prediction.

    Args:
        server: Which one.
        artifact: The model to serve.
        placement: Cores of the server.
        any_port: Take free ports in place of the default ones.
        timeout_s: Patience until the first correct prediction, in seconds.

    Raises:
        LaunchError: If a port is taken, or the server ends or does not become ready; nothing is left running.
        ParityError: If it answers wrongly.
    """
    ports = _free_ports(list(server.ports)) if any_port else dict(server.ports)
    for role, port in ports.items():
        _check_free(server, role, port)
    with contextlib.ExitStack() as undo:
        running = LocalServer(server, artifact, ports, placement)
        undo.callback(running.stop)
        running.await_prediction(running.started, timeout_s)
        undo.pop_all()
    return running


def _end_with_parent() -> None:
    """Have the kernel end the server when this program is killed outright (prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _family(pid: int) -> list[psutil.Process]:
    try:
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    except psutil.Error:
        return []


def _free_ports(roles: list[str]) -> dict[str, int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in roles]
        for one in sockets:
            one.bind((HOST, 0))
        return {role: one.getsockname()[1] for role, one in zip(roles, sockets, strict=True)}


def _check_free(server: Server, role: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise LaunchError(
                f"port {port} ({role} of {server.key}) is in use{_owner(port)}: end that program, or add --any-port"
            ) from error


def _owner(port: int) -> str:
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
                name = psutil.Process(connection.pid).name() if connection.pid else "another user's program"
                return f" by {name} (pid {connection.pid})" if connection.pid else f" by {name}"
    return ""
