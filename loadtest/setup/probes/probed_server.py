"""The server that is asked: whatever a request did to it, the next one finds a server that lives."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from loadtest.launch.attached import AttachedServer
from loadtest.launch.running import RunningServer
from loadtest.setup.probes.capability import Exchange
from loadtest.setup.probes.probe_context import ProbeContext, effect_on
from loadtest.setup.probes.probe_request import ProbeReply, ProbeRequest, ask
from loadtest.setup.setup_finding import SetupFinding
from loadtest.setup.start_times import StartWatch, watched_start


@dataclass(frozen=True)
class Trial:
    """A request, its answer, and what the request did to the server.

    Attributes:
        call: The request.
        reply: The answer.
        effect: What became of the server; None where it lived on.
    """

    call: ProbeRequest
    reply: ProbeReply
    effect: SetupFinding | None

    @property
    def exchange(self) -> Exchange:
        """The request and its answer as evidence."""
        return Exchange(str(self.call), str(self.reply), self.effect)


class ProbedServer:
    """A server under examination, started again before the next use wherever it was found dead.

    Args:
        context: What starts it. It runs until `close`.
    """

    def __init__(self, context: ProbeContext) -> None:
        self._context = context
        self._undo = contextlib.ExitStack()
        self._running: RunningServer | None = None

    def start(self, on_ready: Callable[[AttachedServer], None] = lambda one: None) -> StartWatch | None:
        """Start the server and watch it while it starts.

        Args:
            on_ready: Called at the moment its readiness probe becomes positive.

        Returns:
            What watched the start; None where a start cannot be watched.

        Raises:
            LaunchError: If it does not start.
            ParityError: If it answers wrongly.
        """
        context = self._context
        starting = watched_start(context.launcher, context.server, context.artifact, on_ready)
        self._running, _, watch = self._undo.enter_context(starting)
        return watch

    @property
    def running(self) -> RunningServer:
        """The server, which is started again where the last one was found dead.

        Raises:
            LaunchError: If it does not start again.
        """
        if self._running is None:
            self.start()
        assert self._running is not None
        return self._running

    def ask(self, call: ProbeRequest) -> Trial:
        """Send one request, and find out what it did to the server.

        Raises:
            LaunchError: If the server was found dead before and does not start again.
        """
        reply = ask(self.running, call)
        return Trial(call, reply, next(iter(self.take_effects()), None))

    def take_effects(self) -> list[SetupFinding]:
        """What became of the server since the last call; empty where it lives and predicts.

        One that does not is ended, so that the next use starts it again.
        """
        effect = effect_on(self._running) if self._running else None
        if effect is None:
            return []
        self.close()
        return [effect]

    def close(self) -> None:
        """Stop the server."""
        self._running = None
        self._undo.close()
