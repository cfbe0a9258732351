"""Standard output that may be closed or full: what cannot be written there ends the command in one line."""

import io
import os
import sys

from loadtest.errors import UsageError


class StandardOutput(io.TextIOWrapper):
    """Standard output, written line by line, whose failures are `UsageError`."""

    def write(self, text: str) -> int:
        """Write; who reads `up` through a pipe waits for its lines."""
        try:
            return super().write(text)
        except OSError as error:
            # What is still in the buffer would fail again, without a name, when the interpreter ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            raise UsageError(f"cannot write to standard output: {error.strerror}") from error


def guard_output() -> None:
    """Put it in the place of standard output, where there is one."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        encoding, errors = sys.stdout.encoding, sys.stdout.errors
        sys.stdout = StandardOutput(sys.stdout.detach(), encoding=encoding, errors=errors, line_buffering=True)
