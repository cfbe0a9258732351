"""Ignores Ctrl-C from its import on: for the fork server that clients come from, and for nothing else.

Ctrl-C in a terminal reaches every process of its group. The parent ends its clients itself; one that were interrupted
before it could say so would print a stack trace.
"""

import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)
