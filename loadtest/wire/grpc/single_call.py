"""Single gRPC calls, for checks outside the measured interval; the counterpart of `loadtest.wire.single_request`."""

import asyncio
import time
from dataclasses import dataclass, field, replace

from loadtest.load.engine import TIMEOUT, Slot
from loadtest.wire.grpc.target import GrpcPool, GrpcTarget
from loadtest.wire.single_request import Answer


@dataclass
class _KeepMessage:
    """An expectation that takes every message, and keeps it for `_call`."""

    message: bytes = b""
    name: str = "keep"

    def matches(self, payload: int, message: bytes) -> bool:
        self.message = message
        return True


@dataclass
class _CallOwner:
    """The owner of a slot for one call."""

    deadline: float
    may_pause: bool = True
    kind: str = ""
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def completed(self, slot: Slot) -> None:
        self._end(slot, TIMEOUT if time.monotonic() > self.deadline else "")

    def failed(self, slot: Slot, kind: str) -> None:
        self._end(slot, kind)

    def _end(self, slot: Slot, kind: str) -> None:
        slot.busy = False
        self.kind = kind
        self.ended.set()


def call_each(target: GrpcTarget, timeout_s: float = 10.0) -> list[Answer]:
    """Call a method with each of the target's messages, one after the other.

    A failure is returned and not raised. Must not be called from a running event loop.

    Args:
        target: The method and the messages.
        timeout_s: Limit for one call, in seconds.

    Returns:
        One answer for each: the response message with status 200, or status 0 and in `fault` the error kind with the
        words of the server.
    """
    return asyncio.run(_call_each(target, timeout_s))


async def _call_each(target: GrpcTarget, timeout_s: float) -> list[Answer]:
    kept = _KeepMessage()
    pool = replace(target, expectation=kept).pool(1, asyncio.get_running_loop())
    answers: list[Answer] = []
    try:
        for payload in range(target.payloads):
            # A server that let one call wait for nothing is not asked again and again.
            hangs = bool(answers) and answers[-1].fault in (TIMEOUT, "connect_timeout")
            answers.append(answers[-1] if hangs else await _call(pool, payload, kept, timeout_s))
        return answers
    finally:
        pool.close()


async def _call(pool: GrpcPool, payload: int, kept: _KeepMessage, timeout_s: float) -> Answer:
    (slot,) = pool.slots
    pool.owner = owner = _CallOwner(time.monotonic() + timeout_s)
    limit = asyncio.get_running_loop().call_later(timeout_s, slot.abort, TIMEOUT)
    slot.busy = True
    slot.send(payload)
    await owner.ended.wait()
    limit.cancel()
    if not owner.kind:
        return Answer(200, kept.message)
    said = slot.detail if owner.kind.startswith("grpc_") else ""
    return Answer(0, b"", f"{owner.kind}: {said}" if said else owner.kind)
