"""Sends a table of hostile requests to a server, and looks after each category how it is."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

from loadtest.errors import LoadtestError
from loadtest.launch.local import LocalServer
from loadtest.launch.running import RunningServer
from loadtest.machine.process_tree import open_descriptors, private_memory
from loadtest.machine.usage import MIB
from loadtest.resilience.hostile.conversation import REFUSED_CONNECTION, Listener, Reply, converse
from loadtest.resilience.hostile.grpc_listener import GrpcListener
from loadtest.resilience.hostile.http_listener import HttpListener
from loadtest.resilience.hostile.judgement import judge, keeps_rules
from loadtest.resilience.hostile.request import DIED, OUTCOMES, HostileRequest
from loadtest.resilience.hostile.result import Aftermath, Footprint, HostileAnswer, HostileResult
from loadtest.resilience.hostile.table import GRPC, HTTP
from loadtest.servers.server_folder import DEFAULT_WIRE
from loadtest.wire.exchange import ask_each
from loadtest.wire.golden_target import format_at
from loadtest.wire.wire_format import golden_requests

SETTLE_S, SETTLE_BETWEEN_S = 5.0, 1.0
"""How long a server is given to close what clients have left, and to give memory back: at the end, and in between."""

HEAD_START_S = 3.0
"""The slow clients open a thousand connections at a time. What comes among them may wait for half a minute until TCP
tries again to set its connection up, by which a server is not judged."""

RECOVER_S = 60.0
POLL_S = 0.1
SAID = 160
WARM_UP = 50

Restart = Callable[[], RunningServer]


def run_hostile(
    running: RunningServer,
    wire: str,
    table: Sequence[HostileRequest],
    *,
    restart: Restart | None = None,
    show: Callable[[str], None] = lambda text: None,
) -> HostileResult:
    """Send every request of a table, and judge what came back.

    The slow clients are there at the same time as the other requests.

    Args:
        running: The server; it is not stopped here.
        wire: ``http`` or ``grpc``.
        table: See `loadtest.resilience.hostile.table.hostile_table`.
        restart: Starts the server again when it has died; what it returns is stopped here. Without it a dead server
            ends the table.
        show: Called with what is going on.
    """
    with contextlib.ExitStack() as stack:
        return _Attack(running, wire, restart, show, stack).run(table)


class _Attack:
    def __init__(
        self,
        running: RunningServer,
        wire: str,
        restart: Restart | None,
        show: Callable[[str], None],
        stack: contextlib.ExitStack,
    ) -> None:
        self._running = running
        self._wire = wire
        self._restart = restart
        self._show = show
        self._stack = stack
        self._deaths: list[str] = []

    def run(self, table: Sequence[HostileRequest]) -> HostileResult:
        first = self._running
        for _ in range(WARM_UP):
            self._is_right()
        before = self._footprint()
        slow = [one for one in table if one.is_slow]
        found: dict[str, HostileAnswer] = {}
        categories = []
        with ThreadPoolExecutor(max(1, len(slow))) as pool:
            slowly = [pool.submit(self._send, one) for one in slow]
            time.sleep(HEAD_START_S if slow else 0.0)
            for category, requests in groupby((one for one in table if not one.is_slow), lambda one: one.category):
                here = self._footprint()
                for request in requests:
                    self._show(f"{category}: {request.name}")
                    found[_key(request)] = self._send_alone(request)
                categories.append(self._aftermath(category, here))
            self._show("slow clients")
            found |= {_key(request): future.result() for request, future in zip(slow, slowly, strict=True)}
        whole = self._aftermath("", before)
        answers = tuple(found[_key(one)] for one in table)
        launch = first.server.launch_called(first.label)
        own = launch.own_code if launch else all(one.own_code for one in first.server.launches)
        return HostileResult(
            first.server.key, first.label, self._wire, own, answers, tuple(categories), whole, tuple(self._deaths)
        )

    def _send_alone(self, request: HostileRequest) -> HostileAnswer:
        answer = self._send(request)
        if ending := self._ending(answer):
            self._deaths.append(f"{ending}, after {request.category}, {request.name}")
            answer = HostileAnswer(**{**vars(answer), "outcome": DIED, "allowed": False})
            self._revive()
        return answer

    def _ending(self, answer: HostileAnswer) -> str:
        """How the server died; a process may need a moment to be gone."""
        if answer.status >= 0:
            return self._running.ending()
        deadline = time.monotonic() + (1.0 if answer.said == REFUSED_CONNECTION else POLL_S)
        while not (ending := self._running.ending()) and time.monotonic() < deadline:
            time.sleep(POLL_S / 4)
        return ending

    def _revive(self) -> None:
        if self._restart is None:
            raise LoadtestError(f"{self._running.server.key} {self._deaths[-1]}; nothing here can start it again")
        self._show("it died: starting it again")
        self._running.stop()
        self._running = self._restart()
        self._stack.callback(self._running.stop)

    def _send(self, request: HostileRequest) -> HostileAnswer:
        replies = asyncio.run(self._converse(request))
        grpc = self._wire == GRPC
        outcomes = [judge(reply, request, grpc=grpc) for reply in replies]
        worst = max(
            range(len(replies)), key=lambda at: (not keeps_rules(outcomes[at], request), OUTCOMES.index(outcomes[at]))
        )
        reply, outcome = replies[worst], outcomes[worst]
        return HostileAnswer(
            category=request.category,
            name=request.name,
            outcome=outcome,
            status=reply.status,
            said=" ".join((reply.text or reply.ending).split())[:SAID],
            seconds=round(reply.seconds, 3),
            allowed=keeps_rules(outcome, request),
            why=request.why,
        )

    async def _converse(self, request: HostileRequest) -> list[Reply]:
        running = self._running
        port = running.ports[running.server.endpoint(DEFAULT_WIRE if self._wire == HTTP else GRPC).port]

        def listener() -> Listener:
            return HttpListener() if self._wire == HTTP else GrpcListener()

        talks = [converse(running.host, port, request, listener()) for _ in range(request.connections)]
        return await asyncio.gather(*talks)

    def _aftermath(self, category: str, before: Footprint | None) -> Aftermath:
        started = time.monotonic()
        right = recovered = self._is_right()
        while not recovered and time.monotonic() < started + RECOVER_S:
            time.sleep(POLL_S)
            recovered = self._is_right()
        took = 0.0 if right else round(time.monotonic() - started, 1) if recovered else float("nan")
        return Aftermath(
            category, right, took, before, self._settled(before, SETTLE_BETWEEN_S if category else SETTLE_S)
        )

    def _is_right(self) -> bool:
        """Whether a golden request is answered rightly over this wire."""
        running, wire = self._running, DEFAULT_WIRE if self._wire == HTTP else GRPC
        url, artifact = running.url_over(wire), running.artifact
        form = format_at(wire, url, artifact.workload)
        messages, golden = golden_requests(form, artifact.golden.part(0, 1))
        (answer,) = ask_each(url, messages)
        return answer.status == 200 and golden.matches(0, answer.body)

    def _settled(self, before: Footprint | None, settle_s: float) -> Footprint | None:
        """What the server holds once it holds no more than before, or the settling time is over."""
        deadline = time.monotonic() + settle_s
        while (held := self._footprint()) is not None and before is not None and time.monotonic() < deadline:
            if held.descriptors <= before.descriptors and held.memory_mib <= before.memory_mib + 1:
                break
            time.sleep(POLL_S)
        return held

    def _footprint(self) -> Footprint | None:
        running = self._running
        if isinstance(running, LocalServer):
            return Footprint(round(private_memory(running.pid) / MIB, 1), open_descriptors(running.pid))
        usage = running.usage_if_known()
        return None if usage is None else Footprint(round(usage().resident_mib, 1), -1)


def _key(request: HostileRequest) -> str:
    return f"{request.category}: {request.name}"
