"""SIGTERM while requests are in flight: the server must answer them before it ends."""

import os
import signal
import threading
import time

from loadtest.launch.local import LocalServer
from loadtest.launch.running import RunningServer
from loadtest.load.replay import Replay
from loadtest.setup.probes.capability import CapabilityCell, judged, unknown
from loadtest.setup.probes.large_request import TIMEOUT_S, calibrate
from loadtest.setup.probes.probe_load import outcome_values, put_load
from loadtest.setup.setup_finding import FindingValue, SetupCode, finding
from loadtest.wire.golden_target import rest_target
from loadtest.wire.http1 import HttpTarget

IN_FLIGHT = 4
WORK_S = 0.3


def probe_shutdown(running: RunningServer) -> CapabilityCell:
    """Send a few large requests at once and SIGTERM while all of them are under way; count the right answers.

    The server is gone afterwards. Large requests rather than many: each is in flight for longer than a signal takes
    to arrive, so that no request can have been sent after the server had rightly stopped listening.
    """
    if not isinstance(running, LocalServer):
        return unknown("graceful_shutdown", finding(SetupCode.PROCESS_NOT_KNOWN))
    instances, _ = calibrate(running, WORK_S)
    endpoint = _large(running, instances)
    work_s = _cpu_s(running, endpoint)
    signalled_after: list[float] = []

    def terminate() -> None:
        began = time.monotonic()
        _await_work(running, work_s / 2)
        os.kill(running.pid, signal.SIGTERM)
        signalled_after.append(time.monotonic() - began)

    terminator = threading.Thread(target=terminate, daemon=True)
    # All at once, over connections that are open: what is lost was neither refused nor still to be sent.
    tally = put_load(endpoint, Replay((0.0,) * IN_FLIGHT), IN_FLIGHT, TIMEOUT_S, on_start=terminator.start)
    terminator.join()
    values, counts = tally.response.nonzero()
    early = sum(count for value, count in zip(values, counts, strict=True) if value / 1e9 < signalled_after[0])
    counted = finding(
        SetupCode.SHUTDOWN_UNDER_LOAD,
        instances=instances,
        signal_s=round(signalled_after[0], 2),
        **outcome_values(tally),
        **_ending(running),
    )
    void = early == IN_FLIGHT
    return judged(
        "graceful_shutdown",
        None if void else tally.ok == IN_FLIGHT,
        observations=[counted],
        notes=[finding(SetupCode.ALL_ANSWERED_BEFORE_SIGNAL)] if void else [],
    )


def _cpu_s(running: LocalServer, endpoint: HttpTarget) -> float:
    """CPU seconds that the server spends on one request; on a busy machine they are far less than it takes."""
    before = running.usage().cpu_s
    put_load(endpoint, Replay((0.0,)), 1, TIMEOUT_S)
    return running.usage().cpu_s - before


def _await_work(running: LocalServer, cpu_s: float) -> None:
    """Wait until the server has spent so many CPU seconds; wall-clock time passes while the machine is stalled, too."""
    before = running.usage().cpu_s
    deadline = time.monotonic() + TIMEOUT_S / 2
    while running.usage().cpu_s - before < cpu_s and time.monotonic() < deadline:
        time.sleep(0.005)


def _large(running: RunningServer, instances: int) -> HttpTarget:
    return rest_target(running.url, running.artifact.golden.many(instances), instances, running.headers)


def _ending(running: LocalServer) -> dict[str, FindingValue]:
    """How the server's process ended, or for how long it was waited for."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        if ending := running.ending():
            return {"ending": ending}
        time.sleep(0.05)
    return {"waited_s": TIMEOUT_S}
