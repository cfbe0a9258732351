"""`python -m models board` in a process of its own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.models.conftest import REPO


@contextmanager
def shown(root: Path, *arguments: str) -> Iterator[str]:
    """Start it over the artifacts in `root`, give its address, and end it as Ctrl-C does; it has to end well."""
    command = [sys.executable, "-m", "models", "board", *arguments, "--port", "0"]
    environment = {**os.environ, "BAKEOFF_ARTIFACTS": str(root), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=REPO, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r" at (http://127\.0\.0\.1:\d+/)$", process.stdout.readline())
            assert found is not None
            assert process.stdout.readline() == "Ctrl-C ends it.\n"
            yield found[1]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
    assert process.returncode == 0
