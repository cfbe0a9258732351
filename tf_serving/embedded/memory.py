"""The memory that requests may take: how much may be sent, how much may be made of it at a time, and giving it back.

A request takes many times the memory of its bytes (a JSON list of two bytes is 80 bytes of Python). So the large ones
say beforehand what they will take, and wait until there is room; small ones never wait.
"""

import collections
import contextlib
import ctypes
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager

from tf_serving.embedded.errors import invalid_argument

MIB = 1024 * 1024
MAX_BODY = 128 * MIB  # of one request, as sent and as inflated; what a model of this project may ask for at most
MAX_BODIES = 256 * MIB  # of all requests that are being received or wait for a thread
MAX_WORKING = 768 * MIB  # estimated need of all large requests that are processed at a time
SMALL = 1 * MIB  # a request that takes no more than this never waits
PAUSE_SECONDS = 0.2  # from the end of the last large request until its memory is given back

_SIZES = {b"[": 88, b"{": 200, b":": 64, b",": 64, b'"': 32}
_SHORT = SMALL // max(_SIZES.values())
_NOTHING = contextlib.nullcontext()


class Budget:
    """Room for large requests; may be used by any number of threads.

    Args:
        total: Bytes to share out.
    """

    def __init__(self, total: int = MAX_WORKING) -> None:
        self._total = total
        self._taken = 0
        self._waiting: collections.deque[object] = collections.deque()
        self._changed = threading.Condition()
        self._pending: threading.Timer | None = None

    def hold(self, size: int) -> AbstractContextManager[None]:
        """Reserve memory for a request for as long as the `with` block lasts; wait in turn until there is enough.

        Args:
            size: Bytes the request will take at most.

        Raises:
            ServingError: There is not so much at all.
        """
        if size > self._total:
            with self._changed:
                self._give_back_soon()
            raise invalid_argument(
                f"the request would take {size // MIB} MiB of memory, the limit is {self._total // MIB} MiB"
            )
        return self._room(size) if size > SMALL else _NOTHING

    @contextlib.contextmanager
    def _room(self, size: int) -> Iterator[None]:
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)  # first come, first served, so that a large request is not overtaken for ever
            self._changed.wait_for(lambda: self._waiting[0] is ticket and self._taken + size <= self._total)
            self._waiting.popleft()
            self._taken += size
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()
                self._give_back_soon()

    def _give_back_soon(self) -> None:
        if not self._taken and self._pending is None:
            self._pending = threading.Timer(PAUSE_SECONDS, self._give_back)
            self._pending.daemon = True
            self._pending.start()

    def _give_back(self) -> None:
        with self._changed:
            self._pending = None
        give_back()


def give_back() -> None:
    """Return freed memory to the operating system.

    glibc keeps what was freed below a block that is still in use, in one heap for every thread: gigabytes after a few
    large requests. Other C libraries have no such function, and do without.
    """
    if _trim is not None:
        _trim(0)


_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def json_size(text: bytes | bytearray) -> int:
    """Return how many bytes the values of a JSON text take at most as Python objects and an array; 0 if short.

    Measured with orjson and CPython 3.11 on texts of nothing but empty lists, objects, keys, numbers or short strings.
    """
    if len(text) < _SHORT:
        return 0
    return sum(size * text.count(mark) for mark, size in _SIZES.items())
