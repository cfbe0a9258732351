"""How a process of a server is made to end beside a load, and how long the server is waited for."""

import math
import threading
import time
from dataclasses import dataclass, field

import psutil

from loadtest.launch.running import RunningServer

WORKER, MAIN, STOP = "a worker is killed", "the main process is killed", "the main process is told to end"
MEMORY = "the memory limit is reached"
KINDS = (WORKER, MAIN, STOP, MEMORY)

POLL_S = 0.02
GOOD_S = 2.0
"""Every request of so many seconds has to be answered rightly before a server counts as recovered."""
SPARE_MIB = 8.0
"""What a server may use beyond what it uses already, where its memory limit is to be reached."""
LARGE = 2_048
"""Most instances in one of the requests by which it is reached."""


@dataclass
class ProcessEnd:
    """Ends a process beside the load.

    Attributes:
        running: The server.
        ended: One of `KINDS`.
        lead_s: Seconds of load before.
        most_s: How long the server is given to recover, or to end.
        over: Set when all is over.
        family: The server's processes before, the main one first.
        at: Reading of the monotonic clock when a process was ended, in seconds; NaN where none did end.
        gone_s: Seconds from there until every process had ended; infinite where one was left, NaN where it comes
            back.
        orphans: Processes that were left.
    """

    running: RunningServer
    ended: str
    lead_s: float
    most_s: float
    over: threading.Event
    family: list[psutil.Process] = field(default_factory=list)
    at: float = math.nan
    gone_s: float = math.nan
    orphans: int = 0

    def __post_init__(self) -> None:
        self.family = self.running.processes()

    @property
    def possible(self) -> bool:
        """Whether the server has such a process, or such a limit."""
        if self.ended == MEMORY:
            return self.running.memory_limit_mib is not None
        return self.ended != WORKER or len(self.family) > 1

    @property
    def comes_back(self) -> bool:
        """Whether something is there to start anew what was ended."""
        return self.ended in (WORKER, MEMORY) or (self.ended == MAIN and self.running.supervised)

    def run(self) -> None:
        """Wait, end the process, and wait until the server has recovered or ended."""
        try:
            self.over.wait(self.lead_s)
            if self.ended == MEMORY:
                self._reach_limit()
            else:
                self._send_signal()
            if self.comes_back:
                self._await_answers()
            else:
                self._await_end()
        finally:
            self.over.set()

    def _send_signal(self) -> None:
        self.at = time.monotonic()
        if self.ended == STOP:
            self.running.send_signal("SIGTERM")
        else:
            self.running.end_process(self._victim(), "SIGKILL")

    def _victim(self) -> psutil.Process:
        """The main process, or the worker that holds the most memory."""
        if self.ended == MAIN:
            return self.family[0]
        return max(self.family[1:], key=lambda process: process.memory_info().rss)

    def _reach_limit(self) -> None:
        """Lower the limit, and send large requests until a process is gone; then give the limit back."""
        before = self.running.memory_limit_mib
        assert before is not None
        artifact = self.running.artifact
        instances = min(LARGE, artifact.max_instances)
        (body,) = artifact.golden.many(instances).bodies(instances)
        self.running.limit_memory(self.running.usage().resident_mib + SPARE_MIB)
        watcher = threading.Thread(target=self._await_death, daemon=True)
        watcher.start()
        try:
            while watcher.is_alive():
                self.running.predict(body)
        finally:
            watcher.join()
            self.running.limit_memory(before)

    def _await_death(self) -> None:
        """Wait until a process is gone, and note when that was."""
        deadline = time.monotonic() + self.most_s
        while time.monotonic() < deadline:
            if not all(map(lives, self.family)):
                self.at = time.monotonic()
                return
            time.sleep(POLL_S)

    def _await_answers(self) -> None:
        """Wait until one request after the other was answered rightly for a while."""
        deadline, good_since = time.monotonic() + self.most_s, math.inf
        while (now := time.monotonic()) < deadline and now - good_since < GOOD_S:
            right = self.running.is_right(self.running.predict_example())
            good_since = min(good_since, now) if right else math.inf
            time.sleep(POLL_S)

    def _await_end(self) -> None:
        deadline = self.at + self.most_s
        while any(map(lives, self.family)) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        self.orphans = sum(map(lives, self.family))
        self.gone_s = math.inf if self.orphans else time.monotonic() - self.at


def lives(process: psutil.Process) -> bool:
    """Whether a process has not ended."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
