"""Parity before speed: every golden example through the real endpoint, alone and in a batch."""

from collections.abc import Iterator

from loadtest.errors import ParityError
from loadtest.judge.server_result import Parity
from loadtest.launch.running import RunningServer
from loadtest.servers.artifact import Artifact
from loadtest.wire.golden_target import grpc_target
from loadtest.wire.grpc.messages import GoldenMessages
from loadtest.wire.grpc.single_call import call_each
from loadtest.wire.single_request import Answer


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


def check_parity(running: RunningServer, artifact: Artifact) -> Parity:
    """Send every golden example alone, then as many as can be in one request, over each wire format, and compare.

    Args:
        running: A started server.
        artifact: The model that it serves.
    """
    worst, checked, faults = 0.0, 0, list[str]()
    for wire in running.server.protocols:
        ask = _over_grpc if wire == "grpc" else _over_rest
        for batch in (1, min(artifact.size, artifact.max_instances)):
            requests = artifact.golden.batches(batch)
            for rows, (answer, difference) in zip(requests, ask(running, artifact, batch), strict=True):
                worst = max(worst, difference)
                checked += len(rows)
                if difference > artifact.tolerance:
                    what = f"golden example {rows[0]}" if batch == 1 else f"{len(rows)} golden examples in one request"
                    over = " over gRPC" if wire == "grpc" else ""
                    faults.append(f"{what}{over}: {_fault(answer, difference, artifact.tolerance)}")
    return Parity(checked, worst, artifact.tolerance, faults)


def _over_rest(running: RunningServer, artifact: Artifact, batch: int) -> Iterator[tuple[Answer, float]]:
    golden = artifact.expectation(batch)
    for index, body in enumerate(artifact.bodies(batch)):
        answer = running.predict(body)
        yield answer, golden.difference(index, answer.body) if answer.status == 200 else float("inf")


def _over_grpc(running: RunningServer, artifact: Artifact, batch: int) -> Iterator[tuple[Answer, float]]:
    target = grpc_target(running.grpc_url, artifact, artifact.golden, batch)
    assert isinstance(target.expectation, GoldenMessages)
    for index, answer in enumerate(call_each(target)):
        yield answer, target.expectation.difference(index, answer.body) if answer.status == 200 else float("inf")


def _fault(answer: Answer, difference: float, tolerance: float) -> str:
    if answer.status != 200:
        return answer.fault or f"HTTP {answer.status}: {answer.body[:120].decode(errors='replace')}"
    if difference == float("inf"):
        return f"no predictions of the right shape: {answer.body[:120].decode(errors='replace')}"
    return f"off by {difference:.3g}, allowed is {tolerance:g}"
