"""An end by SIGTERM that unwinds the stack, as one by Ctrl-C does: what is half-made is removed."""

import signal
from types import FrameType


def unwind_on_sigterm() -> None:
    """Let SIGTERM raise `SystemExit`, with the code that a shell gives to it."""
    signal.signal(signal.SIGTERM, _end)


def _end(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)
