"""The core of the load tester: which request goes out when, on which connection, and what became of it.

The engine knows neither sockets nor the wall clock. It is given a clock (nanoseconds), a way to be woken at a time,
and slots (connections) that can send one request at a time; it is told when a slot's request completed or failed.
`loadtest.load.session` connects it to asyncio, and the tests to a simulated server in virtual time.

A request that is due while every slot is busy waits here, in the schedule itself, and that wait counts: its response
time runs from its intended send. Every scheduled request ends in exactly one of ok, mismatched or an error kind.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from loadtest.load.recorder import Recorder, Tally
from loadtest.load.schedule import NS, Closed, Schedule
from loadtest.load.steadiness import is_warm

NEVER = 1 << 62
MISMATCHED = "mismatched"
TIMEOUT = "timeout"
GAVE_UP = "gave_up"


class Slot(Protocol):
    """A connection, or a stream of one, that carries one request at a time.

    Attributes:
        intended: Intended send of its current request, in nanoseconds of the engine's clock.
        sent: Actual send of its current request.
        free_at: When its previous request ended.
        arrived: When the last piece of the answer to it came in, before it was parsed and checked.
        readable: The time before which the client could not have read that piece (see `loadtest.load.loop_turn`).
        busy: Whether a request is in flight on it.
    """

    intended: int
    sent: int
    free_at: int
    arrived: int
    readable: int
    busy: bool

    def send(self, payload: int) -> None:
        """Send the request with this payload; never raises, a failure is reported to the slot's owner later."""

    def abort(self, kind: str) -> None:
        """Give the current request up and report it as failed with this kind."""


class SlotOwner(Protocol):
    """Who gives a slot its requests and is told what became of each: the engine, or whoever sends a single one."""

    @property
    def may_pause(self) -> bool:
        """Whether a slot that failed may pause before its next request.

        In an open loop it may not: what waited for it would look like the queue of an overloaded server.
        """

    def completed(self, slot: Slot) -> None:
        """Take note that the slot's request was answered correctly."""

    def failed(self, slot: Slot, kind: str) -> None:
        """Take note that the slot's request was mismatched, or ended in an error of this kind."""


class Engine:
    """Runs one schedule over a set of slots.

    Args:
        schedule: The plan; `Closed` sends on completion, any other by the clock.
        payloads: The numbers of the requests in the order in which they are sent, again and again; a count stands for
            the first so many.
        seed: Seed of the schedule.
        clock: Returns the time in nanoseconds.
        wake: Called with a time at which `tick` is to be called; a later call replaces an earlier one.
        window_s: Length of a stretch of the time line, in seconds.
        timeout_s: A request without an answer this many seconds after its send is an error of kind ``timeout``,
            whatever comes of it later.
        grace_s: How long after the end of the schedule the last answers are waited for.
        until_warm: End a closed loop as soon as the server is steady: what is in flight then is the last.
        impatient: A request that has waited for a free connection for longer than `timeout_s` is not sent any more: its
            user has left. It is an error of kind ``gave_up``.

    Attributes:
        may_pause: See `SlotOwner.may_pause`.
        warm: Whether it ended for that reason.
        on_finish: Called once, when the last request has ended.
    """

    def __init__(
        self,
        schedule: Schedule | Closed,
        *,
        payloads: int | Sequence[int],
        seed: int,
        clock: Callable[[], int],
        wake: Callable[[int], None],
        window_s: float = 1.0,
        timeout_s: float = 10.0,
        grace_s: float | None = None,
        until_warm: bool = False,
        impatient: bool = False,
    ) -> None:
        self.schedule = schedule
        self.clock = clock
        self.finished = self.warm = False
        self._until_warm = until_warm
        self.on_finish: Callable[[], None] = lambda: None
        # Of a warm-up nobody asks what was sent.
        self.recorder = Recorder(int(window_s * NS), 0.0 if until_warm else schedule.duration_s)
        self._add = self.recorder.add
        self._wake = wake
        self._payload = itertools.cycle(range(payloads) if isinstance(payloads, int) else payloads)
        self._timeout = int(timeout_s * NS)
        self._patience = self._timeout if impatient else NEVER
        self._grace = int((timeout_s if grace_s is None else grace_s) * NS)
        self._slots: Sequence[Slot] = ()
        self._idle: deque[Slot] = deque()
        # The first one is drawn now: it takes milliseconds, by which the first requests would be late.
        offsets = iter(()) if isinstance(schedule, Closed) else schedule.times(seed)
        self._offsets = itertools.chain([*itertools.islice(offsets, 1)], offsets)
        self._times: Iterator[int] = iter(())
        self._due = NEVER
        self._origin = 0
        self._end = self._latest_end = 0
        self._closed = self.may_pause = isinstance(schedule, Closed)
        self._min_requests = schedule.min_requests if isinstance(schedule, Closed) else 0
        self._overtime = int(schedule.patience_s * NS) if isinstance(schedule, Closed) else 0
        self._woken_at = NEVER

    @property
    def next_due(self) -> int:
        """Reading of the clock at which the next request is due; far away in a closed loop and after the last one."""
        return self._due

    @property
    def origin(self) -> int:
        """Reading of the clock at the start of the run."""
        return self._origin

    def start(self, slots: Sequence[Slot]) -> None:
        """Begin the run now, over slots none of which is busy."""
        now = self.clock()
        self._slots = slots
        self._origin = now
        self._end = now + int(self.schedule.duration_s * NS)
        self._latest_end = self._end + self._overtime
        self.recorder.start(now)
        for slot in slots:
            slot.busy = False
            slot.free_at = now
        if isinstance(self.schedule, Closed):
            for slot in slots:
                self._send_closed(slot, now)
        else:
            self._idle.extend(slots)
            self._times = (now + offset for offset in self._offsets)
            self._due = next(self._times, NEVER)
            self.tick()

    def completed(self, slot: Slot) -> None:
        """Record that the slot's request was answered correctly, and use the slot for the next one.

        The answer ends when it came in: what it took to check it is no part of a response time. It counts as send lag
        of the next request, if that has to wait for it.
        """
        arrived = slot.arrived
        if arrived - slot.sent > self._timeout:  # `housekeeping` has not come by since its time was up
            self.failed(slot, TIMEOUT)
            return
        self._add((slot.intended, slot.sent, slot.free_at, slot.readable, arrived))
        slot.free_at = arrived
        now = self.clock()
        if not self._closed:
            self._send_due(slot, now)
        elif now < self._end:  # as `_send_closed` does, one call less: this is the path of a closed loop's every answer
            slot.intended = slot.sent = now
            slot.send(next(self._payload))
        else:
            self._send_closed(slot, now)

    def failed(self, slot: Slot, kind: str) -> None:
        """Count the slot's request as mismatched or as an error of this kind, and use the slot for the next one.

        Where its time was up before, it is a timeout of whatever kind.
        """
        now = self.clock()
        tally = self.recorder.tally
        if now - slot.sent > self._timeout:
            tally.errors[TIMEOUT] += 1
        elif kind == MISMATCHED:
            tally.mismatched += 1
        else:
            tally.errors[kind] += 1
        self.recorder.unanswered(slot.intended, slot.sent, slot.free_at)
        slot.free_at = now
        if self._closed:
            self._send_closed(slot, now)
        else:
            self._send_due(slot, now)

    def tick(self) -> None:
        """Send what is due to the slots that are idle, and ask to be woken for the next one."""
        now = self.clock()
        self._woken_at = NEVER
        idle = self._idle
        while self._due <= now and idle:
            self._send_due(idle.popleft(), now)
            now = self.clock()
        if idle and self._due < NEVER:
            self._sleep_until(self._due)

    def housekeeping(self) -> None:
        """Fold samples in, time out what takes too long, and end the run; to be called some times a second."""
        now = self.clock()
        late = now - self._timeout
        over = now >= self._end + self._grace
        if over:
            self._drop_unsent()
        for slot in self._slots:
            if slot.busy and (slot.sent <= late or over):
                slot.abort(TIMEOUT)
        self.recorder.housekeeping(now, self._waiting(now))
        if self._until_warm and not self.warm and is_warm(self.recorder.tally.windows):
            self.warm, self._end = True, min(self._end, now)
        self._finish_if_done()

    def _send_due(self, slot: Slot, now: int) -> None:
        due = self._due
        if now - due > self._patience:
            due = self._give_up(now)
        if due <= now:
            self._due = next(self._times, NEVER)
            if self._idle:  # another slot could have sent it earlier: this client is late
                slot.free_at = min(slot.free_at, self._idle[0].free_at)
            slot.intended = due
            slot.sent = now
            slot.busy = True
            slot.send(next(self._payload))
        else:
            slot.busy = False
            self._idle.append(slot)
            if due < self._woken_at:
                self._sleep_until(due)
            elif due == NEVER:
                self._finish_if_done()

    def _give_up(self, now: int) -> int:
        """Pass over the requests that have waited for too long, and return when the next one is due."""
        while now - self._due > self._patience:
            self.recorder.tally.errors[GAVE_UP] += 1
            self._due = next(self._times, NEVER)
        return self._due

    def _send_closed(self, slot: Slot, now: int) -> None:
        if self._end <= now < self._latest_end and self.recorder.ended < self._min_requests:
            self._end = now + 1
        if now < self._end:
            slot.intended = slot.sent = now
            slot.busy = True
            slot.send(next(self._payload))
        else:
            slot.busy = False
            self._finish_if_done()

    def _waiting(self, now: int) -> int:
        """Requests due but not sent: the lateness of the oldest one times the rate, since drawing ahead costs time."""
        return 1 + int((now - self._due) * self.schedule.rate / NS) if self._due <= now else 0

    def _sleep_until(self, due: int) -> None:
        self._woken_at = due
        self._wake(due)

    def _drop_unsent(self) -> None:
        unsent = (self._due < NEVER) + sum(1 for _ in self._times)
        self._due = NEVER
        if unsent:
            self.recorder.tally.errors["unsent"] += unsent

    def _finish_if_done(self) -> None:
        if self.finished or self._due < NEVER or any(slot.busy for slot in self._slots):
            return
        if self._closed and self.clock() < self._end:
            return
        self.finished = True
        self.on_finish()

    def result(self) -> Tally:
        """The tally of the finished run."""
        tally = self.recorder.finish(self.clock())
        tally.scheduled = tally.ok + tally.mismatched + tally.errors.total()
        tally.sent = tally.scheduled - tally.errors["unsent"]
        return tally
