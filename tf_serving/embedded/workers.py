"""A fixed number of threads for blocking work, and its results back on the event loop."""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """Like `loop.run_in_executor`, with one future per call instead of two and no locks around them.

    Handing a request over is a good part of what a request for a small network costs.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._calls: queue.SimpleQueue[tuple[asyncio.Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        for number in range(threads):
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function in one of the threads, when one is free; return or raise what it does."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.put((future, lambda: function(*args, **kwargs)))
        try:
            return await future
        finally:
            del future  # its exception would refer to this frame, and so keep the request's body in memory

    def _work(self) -> None:
        while True:
            future, call = self._calls.get()
            try:
                deliver, outcome = future.set_result, call()
            except Exception as error:
                deliver, outcome = future.set_exception, error
            future.get_loop().call_soon_threadsafe(_deliver, future, deliver, outcome)
            del future, call, deliver, outcome  # an idle thread must not keep the last request's body and answer


def _deliver(future: asyncio.Future[Any], deliver: Callable[[Any], None], outcome: object) -> None:
    if not future.cancelled():
        deliver(outcome)
