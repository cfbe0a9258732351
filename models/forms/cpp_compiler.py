"""The C++ compiler that Inductor, the compiler behind torch.compile and AOTInductor, calls."""

from collections.abc import Iterator
from contextlib import contextmanager

from models.errors import FormError

MISSING = ("InvalidCxxCompiler", "No working C++ compiler")
"""How Inductor says so, inside the messages of the errors that it is wrapped in."""


@contextmanager
def naming_the_compiler(form: str, where: str) -> Iterator[None]:
    """Turn Inductor's error about a missing compiler into one that says what to do.

    Args:
        form: What needs the compiler.
        where: Where it is needed.

    Raises:
        FormError: There is no compiler.
    """
    try:
        yield
    except Exception as error:  # Inductor wraps it in errors of several classes
        if any(words in f"{type(error).__name__}: {error}" for words in MISSING):
            raise FormError(
                f"{form} needs a C++ compiler {where}, and there is none: install g++, or name one in $CXX"
            ) from error
        raise
