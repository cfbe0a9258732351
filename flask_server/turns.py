"""Who is answered next: so many requests at a time, a waiting line of limited length, and a refusal beyond it.

A service that lets everybody wait is of use to nobody under overload: each answer comes after its client has left.
"""

import asyncio
from collections import deque


class QueueFullError(Exception):
    """So many requests wait already that this one is refused."""


class Turns:
    """Lets requests take their turn, in the order in which they came; ``async with turns:`` is one turn.

    Between two turns the event loop goes round, so that new requests are noticed, and refused where they have to be, at
    once. For use on one event loop.

    Args:
        at_once: How many have their turn at a time.
        queue: How many may wait for theirs.
    """

    def __init__(self, at_once: int, queue: int) -> None:
        self._free = at_once
        self._queue = queue
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def full(self) -> bool:
        """Whether one more would be refused."""
        return len(self._waiting) >= self._queue

    async def __aenter__(self) -> None:
        if self._free:
            self._free -= 1
            return
        if self.full:
            raise QueueFullError
        mine = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._pass_on()
            raise

    async def __aexit__(self, *raised: object) -> None:
        # Not at once: what has come in meanwhile is looked at first.
        asyncio.get_running_loop().call_soon(self._pass_on)

    def _pass_on(self) -> None:
        """Give a turn to the first who still waits for one."""
        while self._waiting:
            first = self._waiting.popleft()
            if not first.done():
                first.set_result(None)
                return
        self._free += 1
