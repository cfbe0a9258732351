"""`python -m flask_server --workers 2`: check the settings, then become the WSGI server.

For a missing model or a port in use, a WSGI server prints a stack trace or restarts its workers in a loop; here it is
one line. Everything else is the server's own command line, which `--dry-run` shows.
"""

import argparse
import contextlib
import fcntl
import json
import os
import shlex
import socket
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NoReturn

from flask_server.app import read_settings
from flask_server.bearer_token import BearerTokenError
from flask_server.predictor import BuiltModelError


class StartError(Exception):
    """The server cannot be started; the message says what to do about it."""


def parse_arguments() -> argparse.Namespace:
    """Read the command line; the numbers of processes and threads may come from the environment too."""
    parser = argparse.ArgumentParser(prog="flask_server", description="Serves one artifact with Flask.")
    workers, threads = (os.environ.get(f"FLASK_SERVER_{name}") for name in ("WORKERS", "THREADS"))
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on")
    parser.add_argument("--workers", type=int, default=workers or "1", help="processes, each with a model of its own")
    parser.add_argument("--threads", type=int, default=threads or "4", help="threads of each that answer requests")
    parser.add_argument("--wsgi", choices=["granian", "gunicorn"], default="granian", help="the WSGI server")
    parser.add_argument("--dry-run", action="store_true", help="print the WSGI server's command and end")
    return parser.parse_args()


def granian(arguments: argparse.Namespace) -> list[str]:
    """Return the command line of granian, an HTTP server in Rust; `rsgi.py` gives a thread to each complete request."""
    command = ["flask_server.granian_main", "--host", arguments.host, "--port", str(arguments.port)]
    return [*command, "--workers", str(arguments.workers)]


def gunicorn(arguments: argparse.Namespace) -> list[str]:
    """Return the command line of gunicorn with threaded workers.

    Its default, `sync`, closes the connection after every answer.
    """
    command = ["gunicorn", "--worker-class", "gthread", "--bind", f"{arguments.host}:{arguments.port}"]
    command += ["--workers", str(arguments.workers), "--threads", str(arguments.threads)]
    # Seconds that an idle connection stays open. The default of 2 closes it between two requests of a slow client.
    command += ["--keep-alive", "75"]
    # Two servers would share the socket for remote control in the home directory.
    return [*command, "--no-control-socket", "flask_server.wsgi:create_service()"]


def check(arguments: argparse.Namespace) -> None:
    """Look for what would keep the server from starting.

    Raises:
        StartError: The WSGI server is not installed, or the port is taken.
        BuiltModelError: The model or a setting is missing or wrong.
        BearerTokenError: The token that clients have to send cannot be used.
    """
    read_settings()
    if arguments.workers < 1 or arguments.threads < 1:
        raise StartError("--workers and --threads must be 1 or more")
    with socket.socket(socket.AF_INET6 if ":" in arguments.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((arguments.host, arguments.port))
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "there is no such port"
            raise StartError(f"cannot listen on {arguments.host}:{arguments.port}: {reason}") from None


def metrics_folder() -> Path:
    """Make the folder in which the workers share their counts.

    Nothing of this program is left to remove it: the load tester clears folders of this name that hold its marker and
    that nobody holds locked, and the lock goes on to the WSGI server with this process.

    Raises:
        StartError: It cannot be written.
    """
    try:
        if named := os.environ.get("FLASK_SERVER_METRICS_DIR"):
            Path(named).mkdir(parents=True, exist_ok=True)
            return Path(named)
        made = Path(tempfile.mkdtemp(prefix="bakeoff-flask-", suffix=".new"))
    except OSError as error:
        raise StartError(f"no folder for the metrics, FLASK_SERVER_METRICS_DIR names another: {error}") from None
    lock = os.open(made, os.O_RDONLY)
    os.set_inheritable(lock, True)
    with contextlib.suppress(OSError):  # no locks on this file system: its name goes on saying that it is not
        fcntl.flock(lock, fcntl.LOCK_EX)
        (made / ".loadtest-run").touch()
        return made.rename(made.with_suffix(""))
    return made


def launch(arguments: argparse.Namespace) -> NoReturn:
    """Become the WSGI server.

    Raises:
        StartError, BuiltModelError, BearerTokenError: See `check`.
    """
    check(arguments)
    try:
        server = f"{arguments.wsgi} {version(arguments.wsgi)}"
    except PackageNotFoundError:
        raise StartError(f"{arguments.wsgi} is not installed: pip install {arguments.wsgi}") from None
    command = [sys.executable, "-m", *(granian if arguments.wsgi == "granian" else gunicorn)(arguments)]
    if arguments.dry_run:
        sys.exit(shlex.join(command))
    wsgi = {"server": server, "workers": arguments.workers, "threads": arguments.threads}
    settings = {
        "FLASK_SERVER_THREADS": str(arguments.threads),
        "FLASK_SERVER_WSGI": json.dumps(wsgi),
        "FLASK_SERVER_METRICS_DIR": str(metrics_folder()),
    }
    os.execve(sys.executable, command, os.environ | settings)


if __name__ == "__main__":
    try:
        launch(parse_arguments())
    except (StartError, BuiltModelError, BearerTokenError) as error:
        sys.exit(f"flask_server: {error}")
