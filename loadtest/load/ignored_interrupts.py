"""Ignores Ctrl-C from its import on: for the fork server that clients come from, and for nothing else.

Ctrl-C in a terminal reaches every process of its group. The parent ends its clients itself. A client that ignored it
only from its own first line on could be interrupted before that, and would print a stack trace.
"""

import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)
