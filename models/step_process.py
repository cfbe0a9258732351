"""A step of a trial in a process of its own: its memory is its own, and that it crashes or does not end is a result."""

import json
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PATIENCE_S = 600


def take_step(
    command: Sequence[str], result: Path, *, environment: Mapping[str, str], folder: Path | None = None
) -> dict[str, Any]:
    """Run a step and read what it wrote.

    Args:
        command: What it is, and its arguments.
        result: The JSON that it writes; what an earlier one wrote is removed first.
        environment: Its environment, whole.
        folder: Where it runs; here, without one.

    Returns:
        What it wrote, or under ``refused`` why it wrote nothing.
    """
    result.unlink(missing_ok=True)
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, timeout=PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return {"refused": f"did not end within {PATIENCE_S} s"}
    if result.exists():
        outcome: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return outcome
    if done.returncode < 0:
        return {"refused": f"crashed: {signal.Signals(-done.returncode).name}"}
    lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
    return {"refused": f"ended with exit code {done.returncode}: {lines[-1][:200]}"}


def peak_bytes() -> int | None:
    """Most memory of this process so far, without what it had before it became this program; only Linux tells."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    (peak,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
    return int(peak.split()[1]) * 1024
