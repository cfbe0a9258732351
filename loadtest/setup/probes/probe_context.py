"""Where probes start servers of their own: other settings, other copies of the artifact, one at a time."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from loadtest.errors import LoadtestError, UsageError
from loadtest.launch.launcher import Launcher, LocalLauncher
from loadtest.launch.running import RunningServer
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server, fill
from loadtest.setup.declared import DeclaredSetup, ProcedureRequest
from loadtest.setup.probes.capability import Exchange
from loadtest.setup.probes.probe_request import ProbeRequest, ask, is_golden, reply_of
from loadtest.setup.scratch import ScratchCopy
from loadtest.setup.setup_finding import SetupCode, SetupFinding, finding
from loadtest.setup.start_times import stop_whole

PROCEDURE_S = 120.0
PATIENCE_S = 5.0
"""How long a server that does not predict is asked again: it may be about to end, or one of its workers still loads."""
POLL_S = 0.05


@dataclass(frozen=True)
class ProbeContext:
    """What the probes of a server need to start it.

    Attributes:
        server: The server.
        declared: Its table ``[setup]``.
        servers: Every server and variant by key.
        artifact: The model.
        launcher: How it is started. Only a `LocalLauncher` can start it with other settings.
        effects: What became of servers that a probe started and that did not survive it; see `effect_on`.
    """

    server: Server
    declared: DeclaredSetup
    servers: Mapping[str, Server]
    artifact: Artifact
    launcher: Launcher
    effects: list[SetupFinding] = field(default_factory=list)

    @property
    def local(self) -> LocalLauncher:
        """The launcher, where it can start other variants and other copies of the artifact.

        Raises:
            UsageError: If it cannot.
        """
        if not isinstance(self.launcher, LocalLauncher):
            raise UsageError(f"needs a start with other settings, which --launcher {self.launcher.name} does not offer")
        return self.launcher

    @contextlib.contextmanager
    def start(self, server: Server, artifact: Artifact | None = None) -> Iterator[RunningServer]:
        """Start a server on free ports for as long as the context lasts.

        Raises:
            UsageError: If the launcher starts no other variants.
            LaunchError: If it does not start.
            ParityError: If it answers wrongly.
        """
        running = replace(self.local, artifact=artifact or self.artifact, any_port=True).start(server)
        try:
            yield running
            self._keep_effect(running)
        except LoadtestError:  # why the probe failed may be that the server ended
            self._keep_effect(running)
            raise
        finally:
            stop_whole(running)

    def _keep_effect(self, running: RunningServer) -> None:
        effect = effect_on(running)
        if effect and effect not in self.effects:
            self.effects.append(effect)

    def take_effects(self) -> list[SetupFinding]:
        """What became of the servers that did not survive since the last call; empty where all lived."""
        effects = list(self.effects)
        self.effects.clear()
        return effects


def effect_on(running: RunningServer) -> SetupFinding | None:
    """What a probe did to a server; None where its process lives and golden example 0 is answered rightly.

    Args:
        running: It did predict before.
    """
    call = ProbeRequest(running.predict_path, running.artifact.example_body())
    deadline = time.monotonic() + PATIENCE_S
    while True:
        reply = ask(running, call)
        ending = running.ending()
        if ending:
            return finding(SetupCode.KILLED, ending=ending)
        if is_golden(running, reply):
            return None
        if time.monotonic() > deadline:
            return finding(SetupCode.STOPPED_ANSWERING, answer=str(reply))
        time.sleep(POLL_S)


def carry_out(running: RunningServer, requests: tuple[ProcedureRequest, ...], scratch: ScratchCopy) -> list[Exchange]:
    """Send the requests of a procedure in their order, up to the first one that is refused, as a person would."""
    evidence = []
    for request in requests:
        path = fill(request.path, scratch.context())
        answer = running.call(request.method, request.port, path, PROCEDURE_S)
        call = ProbeRequest(path, port=request.port, method=request.method)
        evidence.append(Exchange(str(call), str(reply_of(answer))))
        if not 200 <= answer.status < 300:
            break
    return evidence
