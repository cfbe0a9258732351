"""A program of this project in a process of its own, which ends with this one whatever ends it."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping

from loadtest.machine.ending import held_signals, with_parent
from loadtest.servers.artifact import ROOT

PATIENCE_S = 60.0
"""Seconds that it has to end its own servers before it is killed."""


def run_module(
    *words: str, environment: Mapping[str, str] | None = None, on_line: Callable[[str], None] | None = None
) -> int:
    """Run ``python -m`` with these words and wait for its end.

    Args:
        words: Module and arguments.
        environment: Variables that are set for it, beside those of this process.
        on_line: Told each line of its output and of its errors; without it both go where those of this process go.

    Returns:
        Its exit code.
    """
    with held_signals():
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if on_line else None,
            stderr=subprocess.STDOUT if on_line else None,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches this program alone, which then ends the other in order
            preexec_fn=with_parent(),
        )
    try:
        if on_line and process.stdout:
            for line in process.stdout:
                on_line(line.rstrip("\n"))
        return process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE_S)
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()
