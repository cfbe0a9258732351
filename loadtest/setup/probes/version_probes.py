"""Several versions of a model at once, and a new version in a server that goes on answering."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from loadtest.launch.running import RunningServer
from loadtest.load.schedule import Poisson
from loadtest.servers.server_folder import fill
from loadtest.setup.declared import DeclaredSwap, DeclaredVersions
from loadtest.setup.probes.capability import CapabilityCell, Exchange, excerpt, judged
from loadtest.setup.probes.probe_context import ProbeContext, carry_out
from loadtest.setup.probes.probe_load import outcome_values, put_load_until
from loadtest.setup.probes.probe_request import ProbeReply, ProbeRequest, ask, is_golden, leaves, seen
from loadtest.setup.scratch import ScratchCopy, scratch_copy
from loadtest.setup.setup_finding import SetupCode, finding
from loadtest.wire.golden_target import rest_target

PATHS = ("/v1/models/{workload}/versions/{version}:predict", "/predictions/{workload}/{version}")
"""Addresses of a prediction by version that model servers have; asked where none is declared."""

ABSENT = "999999"
"""A version that nobody has."""

RATE = 50.0
CONNECTIONS = 4
LEAD_S = TRAIL_S = 2.0
PHASE_S = 1.0
MOST_PHASES = 120
POLL_S = 0.1
APPEAR_S = 30.0
UNDECLARED_S = 3.0


def probe_versions(context: ProbeContext, how: DeclaredVersions) -> CapabilityCell:
    """Start the server with two versions: both must answer golden example 0, and one that does not exist must not.

    Raises:
        UsageError: If the second version cannot be made.
        LaunchError: If the server does not start.
    """
    with scratch_copy(context.server, context.artifact, how.change) as scratch:
        scratch.publish(context.declared.new_version)
        with context.start(scratch.server, scratch.artifact) as both:
            evidence = carry_out(both, how.change.requests, scratch)
            right = True
            for version in (scratch.artifact.version, scratch.next_version):
                call = _call(both, how.predict, version)
                reply = _await_prediction(both, call)
                right = right and is_golden(both, reply)
                evidence.append(seen(call, reply))
            call = _call(both, how.predict, ABSENT)
            reply = ask(both, call)
            evidence.append(seen(call, reply))
    return judged("versions", right and not is_golden(both, reply), evidence, setting=how.change.setting)


def probe_usual_addresses(running: RunningServer) -> CapabilityCell:
    """No address of a version is declared: ask for the present one at the addresses that model servers have."""
    evidence, by_version = [], False
    for path in PATHS:
        right = {}
        for version in (running.artifact.version, ABSENT):
            call = _call(running, path, version)
            reply = ask(running, call)
            right[version] = is_golden(running, reply)
            evidence.append(seen(call, reply))
        # A server that answers at any address has none for a version.
        by_version = by_version or (right[running.artifact.version] and not right[ABSENT])
    return judged("versions", by_version, evidence, notes=[] if by_version else [finding(SetupCode.NO_VERSION_ADDRESS)])


def _call(running: RunningServer, path: str, version: str) -> ProbeRequest:
    context = {"workload": running.artifact.workload, "version": version}
    body = running.artifact.example_body()
    return ProbeRequest(fill(path, context), body, label=f"golden example 0, version {version}")


def _await_prediction(running: RunningServer, call: ProbeRequest) -> ProbeReply:
    deadline = time.monotonic() + APPEAR_S
    while True:
        reply = ask(running, call)
        if is_golden(running, reply) or time.monotonic() > deadline:
            return reply
        running.raise_if_ended()
        time.sleep(POLL_S)


@dataclass(frozen=True)
class _Swapped:
    """How a swap went: when the new version served (reading of the clock; None if it did not), and what shows it."""

    active_at: float | None
    evidence: list[Exchange]


def probe_hot_swap(context: ProbeContext, how: DeclaredSwap) -> CapabilityCell:
    """Replace the version while a load runs: the new one must serve before the load ends, and no request be lost.

    Raises:
        UsageError: If the new version cannot be made.
        LaunchError: If the server does not start.
    """
    with (
        ThreadPoolExecutor(1) as side,
        scratch_copy(context.server, context.artifact, how.change) as scratch,
        context.start(scratch.server, scratch.artifact) as running,
    ):
        over = threading.Event()
        swapping = side.submit(_swap, context, running, scratch, how, over)
        try:
            target = rest_target(running.url, running.artifact.golden, headers=running.headers)
            tally = put_load_until(over, target, Poisson(RATE, PHASE_S), CONNECTIONS, most=MOST_PHASES)
            ended = time.monotonic()
        finally:
            over.set()
        swapped = swapping.result()
    too_late = swapped.active_at is None or swapped.active_at > ended
    return judged(
        "hot_swap",
        None if too_late else tally.ok == tally.scheduled,
        swapped.evidence,
        observations=[finding(SetupCode.SWAP_UNDER_LOAD, rate=RATE, **outcome_values(tally))],
        setting=how.change.setting,
        notes=[finding(SetupCode.NEW_VERSION_TOO_LATE)] if too_late else [],
    )


def _swap(
    context: ProbeContext, running: RunningServer, scratch: ScratchCopy, how: DeclaredSwap, over: threading.Event
) -> _Swapped:
    """Wait a little, swap, wait until the new version serves and a little longer, then say that it is over."""
    try:
        over.wait(LEAD_S)
        target = scratch.publish(context.declared.new_version)
        laid = Exchange("the next version is laid beside the present one", target.name)
        evidence = [laid, *carry_out(running, how.change.requests, scratch)]
        if how.signal:
            running.send_signal(how.signal)
            evidence.append(Exchange("to the main process", how.signal))
        call = ProbeRequest(fill(how.active.path, scratch.context()), port=how.active.port)
        wanted = fill(how.active.contains, scratch.context())
        while True:
            reply = ask(running, call)
            if reply.status == 200 and wanted in reply.body.decode(errors="replace"):
                active_at = time.monotonic()
                over.wait(TRAIL_S)
                return _Swapped(active_at, [*evidence, seen(call, reply)])
            if over.wait(POLL_S):
                return _Swapped(None, [*evidence, seen(call, reply)])
    finally:
        over.set()


def probe_new_folder(context: ProbeContext) -> CapabilityCell:
    """No way to swap is declared: does the server take notice by itself of a version that is laid beside its own?

    Raises:
        LaunchError: If the server does not start.
    """
    with (
        scratch_copy(context.server, context.artifact) as scratch,
        context.start(scratch.server, scratch.artifact) as running,
    ):
        before = running.effective()
        target = scratch.publish(context.declared.new_version)
        time.sleep(UNDECLARED_S)
        after = running.effective()
        number = scratch.next_version
    asked = f"version {target.name} is laid beside the present one; the configuration {UNDECLARED_S:.0f} s later"
    evidence = (
        Exchange("the configuration before", excerpt(json.dumps(before))),
        Exchange(asked, excerpt(json.dumps(after))),
    )
    if number in map(str, leaves(after)) and number not in map(str, leaves(before)):
        return judged("hot_swap", None, evidence, notes=[finding(SetupCode.NEW_VERSION_NOTICED)])
    return judged("hot_swap", False, evidence, notes=[finding(SetupCode.NEW_VERSION_IGNORED)])
