"""Keeps Ctrl-C and the death of the load tester from printing stack traces, from its import on.

It is for the fork server that clients come from, and for nothing else. Ctrl-C in a terminal reaches every process of
its group. The parent ends its clients itself. A client that ignored it only from its own first line on could be
interrupted before that, and would print a stack trace; so could the fork server, which is therefore started with such
signals blocked, until it ignores this one. A load tester that is killed while it tells a client what to do leaves that
one with half of it: there is nobody then to read of it.
"""

import pickle
import signal
import sys
from types import TracebackType

from loadtest.machine.ending import ENDING

HALF_TOLD = (EOFError, pickle.UnpicklingError, ConnectionError)
"""How a client fails whose parent is gone."""


def _say_unless_alone(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, HALF_TOLD):
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _say_unless_alone
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
