"""The verdict: whether a run measured the server, or the client, or nothing that can be believed.

An overloaded server is a finding about the server and leaves the run valid. A client that sent late, ran out of
CPU or was checked wrong answers makes the run invalid: its numbers never enter a comparison.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from loadtest.judge import findings as codes
from loadtest.judge.dependence import worth
from loadtest.judge.findings import Finding
from loadtest.judge.samples import enough_samples, needed
from loadtest.judge.send_process import RATE_SHARE, SendCheck, rate_tolerance, send_faults, send_findings
from loadtest.load.histogram import Histogram
from loadtest.load.recorder import Tally
from loadtest.load.steadiness import mean

LAG_SHARE = 0.10
"""Send lag, and receive lag, may be this share of the response time at the same percentile…"""

LAG_FLOOR_MS = 0.2
"""…or this much, whichever is more."""

CLIENT_CPU_SHARE = 0.90
STEAL_SHARE = 0.02
FOREIGN_SHARE = 0.10
DEPENDENT_FROM = 0.2


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
        sends: What was really sent; None where it is not known.
        cv: Coefficient of variation of the gaps of the schedule.
        correlation: Of each response time with the next one; see `loadtest.judge.dependence`.
        warmup_bound_s: The bound at which the warm-up ended before the server was steady; None where it was steady.
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
    warmup_bound_s: float | None = None
    sends: SendCheck | None = None
    cv: float = 1.0
    correlation: float = math.nan


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
    for percent in (50.0, 99.0):
        if evidence.open_loop:
            yield from _late(codes.SENT_LATE, evidence.tally.lag, evidence.tally.response, percent)
        yield from _late(codes.RECEIVED_LATE, evidence.tally.receive_lag, evidence.tally.response, percent)
    yield from send_faults(evidence.sends)


def _late(code: str, lags: Histogram, responses: Histogram, percent: float) -> Iterator[Finding]:
    if not enough_samples(lags.count, percent):
        return
    lag, response = (_ms(histogram, percent) for histogram in (lags, responses))
    if lag > max(LAG_SHARE * response, LAG_FLOOR_MS):
        yield Finding(code, {"percent": percent, "lag_ms": lag, "response_ms": response})


def _host_faults(evidence: Evidence) -> Iterator[Finding]:
    if evidence.steal_share > STEAL_SHARE:
        yield Finding(codes.STEAL, {"share": evidence.steal_share})
    if evidence.foreign_share > FOREIGN_SHARE:
        yield Finding(codes.FOREIGN_LOAD, {"share": evidence.foreign_share})


def _findings(evidence: Evidence) -> list[Finding]:
    tally = evidence.tally
    findings: list[Finding] = []
    if evidence.open_loop:
        findings += [*_overload(evidence), *send_findings(evidence.sends)]
    if tally.errors:
        failed = tally.errors.total()
        findings.append(
            Finding(codes.REQUESTS_FAILED, {"failed": failed, "requests": tally.scheduled, "errors": _kinds(tally)})
        )
    if evidence.open_loop and tally.scheduled:
        drawn = tally.scheduled / (evidence.rate * evidence.duration_s) - 1
        if abs(drawn) > rate_tolerance(tally.scheduled, evidence.cv):
            findings.append(Finding(codes.SCHEDULE_OFF_RATE, {"share": drawn}))
    if evidence.correlation > max(DEPENDENT_FROM, 4 / math.sqrt(max(tally.scheduled, 1))):
        told: dict[str, codes.Value] = {
            "correlation": evidence.correlation,
            "requests": tally.scheduled,
            "worth": worth(tally.scheduled, evidence.correlation),
        }
        findings.append(Finding(codes.DEPENDENT, told))
    if evidence.warmup_bound_s is not None:
        findings.append(Finding(codes.NOT_WARM, {"bound_s": evidence.warmup_bound_s}))
    if evidence.steady_from_s is None:
        findings.append(Finding(codes.NOT_STEADY))
    missing = [p for p in (99.0, 99.9) if not enough_samples(tally.scheduled, p)]
    if missing and tally.ok:
        values: dict[str, codes.Value] = {
            "requests": tally.scheduled,
            "percent": missing[0],
            "needed": needed(missing[0]),
        }
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
        early, late = mean(waiting[:half]), mean(waiting[half:])
        # A queue below capacity comes and goes too: what it reaches by chance grows with the root of the requests.
        chance = max(RATE_SHARE * evidence.tally.scheduled, 2 * math.sqrt(evidence.tally.scheduled))
        if late > 2 * early and late > max(chance, evidence.connections):
            yield Finding(codes.QUEUE_GREW, {"waiting": max(waiting)})


def _kinds(tally: Tally) -> dict[str, int]:
    """The errors by kind, the most frequent first."""
    return dict(tally.errors.most_common())


def _ms(histogram: Histogram, percent: float) -> float:
    return histogram.percentile(percent) / 1e6
