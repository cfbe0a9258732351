"""Single gRPC calls, for checks outside the measured interval; the counterpart of `loadtest.wire.single_request`."""

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import cast

from loadtest.load.engine import TIMEOUT, Engine, Slot
from loadtest.wire.grpc.target import GrpcPool, GrpcTarget
from loadtest.wire.single_request import Answer


@dataclass
class _Kept:
    """An expectation that takes every message and keeps it."""

    message: bytes = b""
    name: str = "kept"

    def matches(self, payload: int, message: bytes) -> bool:
        self.message = message
        return True


@dataclass
class _Listener:
    """What a connection needs of the engine, for one call."""

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
    kept = _Kept()
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


async def _call(pool: GrpcPool, payload: int, kept: _Kept, timeout_s: float) -> Answer:
    (slot,) = pool.slots
    listener = _Listener(time.monotonic() + timeout_s)
    pool.engine = cast(Engine, listener)
    limit = asyncio.get_running_loop().call_later(timeout_s, slot.abort, TIMEOUT)
    slot.busy = True
    slot.send(payload)
    await listener.ended.wait()
    limit.cancel()
    if not listener.kind:
        return Answer(200, kept.message)
    said = slot.detail if listener.kind.startswith("grpc_") else ""
    return Answer(0, b"", f"{listener.kind}: {said}" if said else listener.kind)
