"""How this program and those that it starts end together, whatever ends it."""

import contextlib
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that ask a program to end."""

PR_SET_PDEATHSIG = 1


def with_parent(number: signal.Signals = signal.SIGTERM) -> Callable[[], None] | None:
    """What a child process is to run first, so that the kernel ends it when its parent is killed outright (prctl(2)).

    Args:
        number: The signal that it gets.

    Returns:
        A ``preexec_fn``; None where the kernel has no such thing.
    """
    if sys.platform != "linux":
        return None
    parent = os.getpid()

    def prepare() -> None:
        end_with_parent(number)
        if os.getppid() != parent:  # it was killed before the kernel knew
            os._exit(1)

    return prepare


def end_with_parent(number: signal.Signals) -> None:
    """Have the kernel send this process a signal when the one that it was forked from is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


@contextlib.contextmanager
def held_signals(*, from_children: bool = False) -> Iterator[None]:
    """Let what would end this program wait, while a process is started and noted: none is started and forgotten.

    Args:
        from_children: Whether processes that are started meanwhile begin with these signals blocked. They have to
            unblock them.
    """
    if threading.current_thread() is not threading.main_thread():  # no signal is handled in another one
        yield
        return
    held: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        held.append(number)

    before = {number: signal.getsignal(number) for number in ENDING}
    try:
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, hold)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING if from_children else ())
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    finally:
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)
    if held:
        signal.raise_signal(held[0])
