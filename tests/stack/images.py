"""Builds the images that the tests of the stack need: ``python -m tests.stack.images``, while other tests run.

What is kept is the layers in the builder's cache: the tests build the same images under the name of their own project,
in a moment. Nothing is done where no stack can be had, and nothing printed but the last lines of a build that fails.
"""

import os
import signal
import sys

from tests.stack.conftest import FILES, ROOT, unavailable, wheels
from tests.stack.stack import Stack


def main() -> None:
    """Build them, and remove their names again."""
    if unavailable():
        return
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # ends the build, and then this program
    name = f"bakeoff-images-{os.getpid()}"
    stack = Stack(ROOT, {**os.environ, **wheels(), "COMPOSE_FILE": FILES, "COMPOSE_PROJECT_NAME": name})
    try:
        stack.build()
    except AssertionError as error:
        sys.exit(f"the images of the stack cannot be built: {error}")
    finally:
        stack.compose("--profile", "loadtest", "down", "--rmi", "local", check=False)


if __name__ == "__main__":
    main()
