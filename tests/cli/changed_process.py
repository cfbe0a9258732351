"""Commands whose process is changed before they begin: by a limit, or by a descriptor that is closed."""

import sys
from collections.abc import Iterable


def after(statement: str, command: Iterable[str]) -> list[str]:
    """A command that does something to its own process and becomes the given one.

    Code between fork and exec (``preexec_fn``) runs in a copy of this process: a collection of garbage there, of what
    earlier tests left, may write to what the command is to have for itself.

    Args:
        statement: Python, with `os` and `resource` imported; an empty one leaves the command as it is.
        command: Program and arguments.
    """
    if not statement:
        return list(command)
    program = f"import os, resource, sys; {statement}; os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-c", program, *command]
