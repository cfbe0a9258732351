"""The verdict: whether a run measured the server, or the client, or nothing that can be believed.

An overloaded server is a finding about the server and leaves the run valid. A client that sent late, ran out of
CPU or was checked wrong answers makes the run invalid: its numbers never enter a comparison.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from loadtest.judge import findings as codes
from loadtest.judge.findings import Finding
from loadtest.judge.samples import SAMPLES_BEYOND, enough_samples
from loadtest.load.histogram import Histogram
from loadtest.load.recorder import Tally, Window

LAG_SHARE = 0.10
"""Send lag may be this share of the response time at the same percentile…"""

LAG_FLOOR_MS = 0.2
"""…or this much, whichever is more."""

CLIENT_CPU_SHARE = 0.90
STEAL_SHARE = 0.02
FOREIGN_SHARE = 0.10
RATE_SHARE = 0.02
STEADY_TOLERANCE = 0.10
STEADY_WINDOWS = 3


@dataclass(frozen=True)
class Verdict:
    """A run's judgement of itself.

    Attributes:
        valid: Whether its numbers may be used.
        reasons: Why not; empty where it is valid.
        findings: What else a reader must know, such as an overloaded server.
    """

    valid: bool
    reasons: list[Finding] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class Evidence:
    """What the verdict is made from.

    Attributes:
        tally: Requests and distributions.
        open_loop: Whether the schedule was an open one.
        connections: Connections of the run.
        rate: Offered rate, requests per second; 0 in a closed loop.
        duration_s: Planned length.
        client_cpu_share: CPU use of the busiest client process, as a share of one core.
        steal_share: Share of the time that the hypervisor took from the cores.
        foreign_share: Share of the server's cores that neither the server nor idling used; NaN where not known.
        steady_from_s: When the steady state began, or None.
    """

    tally: Tally
    open_loop: bool
    connections: int
    rate: float
    duration_s: float
    client_cpu_share: float
    steal_share: float = math.nan
    foreign_share: float = math.nan
    steady_from_s: float | None = None


def judge_run(evidence: Evidence) -> Verdict:
    """Say whether a run can be believed, and what else must be known of it."""
    reasons = [*_answer_faults(evidence), *_client_faults(evidence), *_host_faults(evidence)]
    return Verdict(not reasons, reasons, _findings(evidence))


def _answer_faults(evidence: Evidence) -> Iterator[Finding]:
    tally = evidence.tally
    if tally.scheduled == 0:
        yield Finding(codes.NOTHING_DUE)
        return
    if tally.mismatched:
        yield Finding(codes.WRONG_ANSWERS, {"wrong": tally.mismatched, "requests": tally.scheduled})
    if tally.ok == 0:
        yield Finding(codes.NONE_CORRECT, {"errors": _kinds(tally)})


def _client_faults(evidence: Evidence) -> Iterator[Finding]:
    if starved := evidence.tally.errors["out_of_file_descriptors"]:
        yield Finding(codes.NO_FILE_DESCRIPTORS, {"times": starved})
    if evidence.client_cpu_share > CLIENT_CPU_SHARE:
        yield Finding(codes.CLIENT_CPU, {"share": evidence.client_cpu_share})
    if evidence.open_loop:
        for percent in (50.0, 99.0):
            yield from _late(evidence.tally, percent)


def _late(tally: Tally, percent: float) -> Iterator[Finding]:
    if not enough_samples(tally.lag.count, percent):
        return
    lag, response = (_ms(histogram, percent) for histogram in (tally.lag, tally.response))
    if lag > max(LAG_SHARE * response, LAG_FLOOR_MS):
        yield Finding(codes.SENT_LATE, {"percent": percent, "lag_ms": lag, "response_ms": response})


def _host_faults(evidence: Evidence) -> Iterator[Finding]:
    if evidence.steal_share > STEAL_SHARE:
        yield Finding(codes.STEAL, {"share": evidence.steal_share})
    if evidence.foreign_share > FOREIGN_SHARE:
        yield Finding(codes.FOREIGN_LOAD, {"share": evidence.foreign_share})


def _findings(evidence: Evidence) -> list[Finding]:
    tally = evidence.tally
    findings: list[Finding] = []
    if evidence.open_loop:
        findings += _overload(evidence)
    if tally.errors:
        failed = tally.errors.total()
        findings.append(
            Finding(codes.REQUESTS_FAILED, {"failed": failed, "requests": tally.scheduled, "errors": _kinds(tally)})
        )
    if evidence.open_loop and tally.scheduled:
        drawn = tally.scheduled / (evidence.rate * evidence.duration_s) - 1
        spread = max(RATE_SHARE, 4 / math.sqrt(tally.scheduled))
        if abs(drawn) > spread:
            findings.append(Finding(codes.SCHEDULE_OFF_RATE, {"share": drawn}))
    if evidence.steady_from_s is None:
        findings.append(Finding(codes.NOT_STEADY))
    missing = [p for p in (99.0, 99.9) if not enough_samples(tally.ok, p)]
    if missing and tally.ok:
        needed = round(SAMPLES_BEYOND / (1 - missing[0] / 100))
        values: dict[str, codes.Value] = {"answers": tally.ok, "percent": missing[0], "needed": needed}
        findings.append(Finding(codes.TOO_FEW_ANSWERS, values))
    return findings


def _overload(evidence: Evidence) -> Iterator[Finding]:
    unsent = evidence.tally.errors.get("unsent", 0)
    if unsent:
        yield Finding(codes.NEVER_SENT, {"requests": unsent})
        return
    # Only while requests became due: afterwards the queue of an overloaded server drains.
    waiting = [w.waiting for w in evidence.tally.windows[:-1] if w.end_s <= evidence.duration_s]
    if len(waiting) >= 4:
        half = len(waiting) // 2
        early, late = _mean(waiting[:half]), _mean(waiting[half:])
        # A queue below capacity comes and goes too: what it reaches by chance grows with the root of the requests.
        chance = max(RATE_SHARE * evidence.tally.scheduled, 2 * math.sqrt(evidence.tally.scheduled))
        if late > 2 * early and late > max(chance, evidence.connections):
            yield Finding(codes.QUEUE_GREW, {"waiting": max(waiting)})


def _kinds(tally: Tally) -> dict[str, int]:
    """The errors by kind, the most frequent first."""
    return dict(tally.errors.most_common())


def _ms(histogram: Histogram, percent: float) -> float:
    return histogram.percentile(percent) / 1e6


def steady_from(windows: Sequence[Window]) -> float | None:
    """Find when a run became steady.

    The run is cut into up to ten stretches of equal length. It is steady from the first stretch on after which every
    stretch's throughput, and the mean of its median response times, lie within 10 % of the mean of the remaining ones;
    where a stretch holds few requests, within four standard errors of a count (``4 / sqrt(n)``).

    Args:
        windows: Time line of the run.

    Returns:
        Seconds from the start of the run, or None where fewer than three stretches at the end agree.
    """
    full = windows[:-1] if len(windows) > 1 else windows
    parts = min(10, len(full))
    if parts < STEADY_WINDOWS:
        return None
    edges = [round(part * len(full) / parts) for part in range(parts + 1)]
    stretches = [full[a:b] for a, b in itertools.pairwise(edges)]
    medians = [_mean([w.p50_ms for w in stretch if not math.isnan(w.p50_ms)]) for stretch in stretches]
    counts = [sum(w.ok for w in stretch) for stretch in stretches]
    rates = [_mean([w.ok for w in stretch]) for stretch in stretches]
    for first in range(parts - STEADY_WINDOWS + 1):
        tolerance = max(STEADY_TOLERANCE, 4 / math.sqrt(max(_mean(counts[first:]), 1)))
        if _agree(medians[first:], tolerance) and _agree(rates[first:], tolerance):
            return 0.0 if first == 0 else stretches[first - 1][-1].end_s
    return None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _agree(values: Sequence[float], tolerance: float) -> bool:
    middle = _mean(values)
    return all(abs(value - middle) <= tolerance * middle for value in values)
