"""Parity before speed: every golden example through the real endpoint, alone and in a batch."""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from loadtest.errors import ParityError
from loadtest.judge.server_result import MessageBytes, Parity
from loadtest.launch.running import RunningServer
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import DEFAULT_WIRE
from loadtest.wire.exchange import ask_each
from loadtest.wire.formats import asked_over, find_wire
from loadtest.wire.golden_target import format_at
from loadtest.wire.single_request import Answer
from loadtest.wire.wire_format import golden_requests, request_messages

SIZED = 16
"""Requests of which the mean size is taken."""


def require_parity(parity: Parity, server: str) -> None:
    """Refuse to time a server whose answers are wrong.

    Args:
        parity: What the check found.
        server: Server key, for the error.

    Raises:
        ParityError: If any answer was wrong.
    """
    if not parity.agrees:
        raise ParityError(f"{server} is not timed, since its answers are wrong: {parity.faults[0]}")


def check_parity(running: RunningServer, artifact: Artifact, wires: Iterable[str]) -> Parity:
    """Send every golden example alone, then as many as can be in one request, over each wire format, and compare.

    Args:
        running: A started server.
        artifact: The model that it serves.
        wires: Names of the wire formats.

    Raises:
        UsageError: If the server does not speak one of them.
    """
    worst, checked, faults = 0.0, 0, list[str]()
    for wire in wires:
        asked = asked_over(wire, artifact)
        most = find_wire(wire).most or artifact.max_instances
        for batch in sorted({1, min(asked.size, most)}):
            requests = asked.golden.batches(batch)
            for rows, (answer, difference) in zip(requests, _asked(running, asked, wire, batch), strict=True):
                worst = max(worst, difference)
                checked += len(rows)
                if difference > artifact.tolerance:
                    what = f"golden example {rows[0]}" if batch == 1 else f"{len(rows)} golden examples in one request"
                    over = f" over {wire}" if wire != DEFAULT_WIRE else ""
                    faults.append(f"{what}{over}: {_fault(answer, difference, artifact.tolerance)}")
    return Parity(checked, worst, artifact.tolerance, faults)


def message_bytes(running: RunningServer, wire: str, batch: int) -> MessageBytes:
    """How large the requests of a load and their answers are, over a few of them.

    Args:
        running: A started server.
        wire: Name of the wire format.
        batch: Instances in one request.
    """
    url, artifact = running.url_over(wire), asked_over(wire, running.artifact)
    form = format_at(wire, url, artifact.workload)
    messages = request_messages(form, artifact.load.for_requests(SIZED, batch), batch)
    answers = [answer for answer in ask_each(url, messages, headers=running.headers) if answer.status == 200]
    return MessageBytes(
        float(np.mean([len(message.body) for message in messages])),
        float(np.mean([len(answer.body) for answer in answers])) if answers else math.nan,
    )


def _asked(running: RunningServer, artifact: Artifact, wire: str, batch: int) -> Iterator[tuple[Answer, float]]:
    url = running.url_over(wire)
    messages, expectation = golden_requests(format_at(wire, url, artifact.workload), artifact.golden, batch)
    for index, answer in enumerate(ask_each(url, messages, headers=running.headers)):
        yield answer, expectation.difference(index, answer.body) if answer.status == 200 else float("inf")


def _fault(answer: Answer, difference: float, tolerance: float) -> str:
    if answer.status != 200:
        return answer.fault or f"HTTP {answer.status}: {answer.body[:120].decode(errors='replace')}"
    if difference == float("inf"):
        return f"no predictions of the right shape: {answer.body[:120].decode(errors='replace')}"
    return f"off by {difference:.3g}, allowed is {tolerance:g}"
