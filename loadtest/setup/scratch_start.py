"""A server that is started on a scratch copy, with the change that was made for it."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from loadtest.errors import UsageError
from loadtest.launch.launcher import Launcher, LocalLauncher
from loadtest.launch.running import RunningServer
from loadtest.setup.scratch import ScratchCopy


@contextlib.contextmanager
def running_on(launcher: Launcher, scratch: ScratchCopy) -> Iterator[RunningServer]:
    """Start a server on a scratch copy for as long as the context lasts.

    Args:
        launcher: As a process of this machine on free ports, or as a container beside the stack.
        scratch: The copy.

    Raises:
        LaunchError: If it does not start.
        ParityError: If it answers wrongly.
        UsageError: If the launcher starts no servers.
    """
    if isinstance(launcher, LocalLauncher):
        running = replace(launcher, artifact=scratch.artifact, any_port=True).start(scratch.server)
        try:
            yield running
        finally:
            running.stop()
        return

    # Only here: Docker's library takes a third of a second to load.
    from loadtest.launch.compose import ComposeLauncher
    from loadtest.launch.compose_copy import running_copy

    if not isinstance(launcher, ComposeLauncher):
        raise UsageError(f"needs a server of its own, which --launcher {launcher.name} does not start: use local")
    args, env, files = scratch.change.args, scratch.change.env, scratch.change.files
    with running_copy(launcher, scratch.original, scratch.artifact, args=args, env=env, files=files) as container:
        yield container
