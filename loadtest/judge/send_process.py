"""Whether the requests were sent as the schedule had promised, and if not, whose doing it was.

Three times of each request are compared: when it was due, when it could be sent (due, and a connection free), and when
it was sent. Gaps between due times that are not those of the schedule's name are a fault of the schedule; sends apart
from the possible ones are a fault of the client, such as a timer that ticks once in a millisecond; possible sends apart
from those due waited for busy connections, which tells of the server or of too few connections.

A sample of ten thousand gaps finds every real client to deviate, so a deviation has to be large as well: `DISTANCE`
between the distribution functions, beyond what shifting every gap by a tolerance explains (a Lévy distance). Lancet
(Kogias et al., USENIX ATC 2019) accepts a run by the same test of Anderson and Darling, without the size.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from loadtest.judge import findings as codes
from loadtest.judge.anderson_darling import exponential_statistic, p_value
from loadtest.judge.findings import Finding
from loadtest.load.histogram import Int64s
from loadtest.load.send_sample import SentRequests
from loadtest.records import Count, Number

SIGNIFICANCE = 1e-4
"""Gaps this improbable are not those of a Poisson process: a right one is suspected once in 10,000 runs."""

DISTANCE = 0.05
"""A deviation counts from here on: 5 % of the gaps are shorter, or longer, than they should be."""

TOLERANCE_NS = 200_000
"""Gaps may be so much shorter or longer, which is the send lag that any run may have…"""

TOLERANCE_SHARE = 0.05
"""…or this share of the mean gap, whichever is more."""

RATE_SHARE = 0.02
"""A rate may be off by so much, or by the chance of so many gaps, whichever is more."""

LEAST_GAPS = 100


@dataclass(frozen=True)
class SendCheck:
    """What was really sent, of an open loop; for a run of millions, of a sample of it.

    Distances are the largest between two distribution functions of gaps, from 0 to 1, beyond the tolerance.

    Attributes:
        gaps: Gaps between sends that follow each other, in the sample.
        rate_rps: Mean rate of the sends.
        possible_rate_rps: That of the times at which they were due and a connection was free.
        planned_rate_rps: That of the times at which they were due.
        anderson_darling: Statistic of the gaps between the sends against the exponential distribution; NaN where the
            schedule is not Poisson.
        p_value: Its probability for a Poisson process; the test is not passed below 0.0001.
        distance: From the gaps between sends to those that the schedule's name promises; NaN where it promises none.
        planned_p_value: As `p_value`, of the times at which requests were due.
        planned_distance: As `distance`, of these.
        client_distance: From the gaps between sends to those that the connections would have allowed.
        waited_share: Share of the requests that waited for a busy connection.
    """

    gaps: Count
    rate_rps: Number
    possible_rate_rps: Number
    planned_rate_rps: Number
    anderson_darling: Number
    p_value: Number
    distance: Number
    planned_p_value: Number
    planned_distance: Number
    client_distance: Number
    waited_share: Number

    @property
    def plan_broken(self) -> bool:
        """Whether the requests were not even due as promised."""
        return _broken(self.planned_distance, self.planned_p_value)

    @property
    def broken(self) -> bool:
        """Whether the sends were not those promised."""
        return _broken(self.distance, self.p_value)

    @property
    def client_at_fault(self) -> bool:
        """Whether the client sent otherwise than it could have, breaking the promise where one is known."""
        return self.client_distance > DISTANCE and (math.isnan(self.distance) or self.broken)

    def slower_than(self, rate_rps: float) -> bool:
        """Whether the sends came more slowly than at this rate, by more than is allowed."""
        return self.rate_rps < (1 - rate_tolerance(self.gaps)) * rate_rps


def rate_tolerance(count: int, cv: float = 1.0) -> float:
    """By what share a rate may be off: `RATE_SHARE`, or four standard deviations of so many gaps.

    Args:
        count: How many.
        cv: Coefficient of variation of the gaps.
    """
    return max(RATE_SHARE, 4 * cv / math.sqrt(count))


def check_sends(requests: SentRequests, kind: str) -> SendCheck | None:
    """Compare the sends of an open loop with its plan; None where there are too few gaps to compare.

    Args:
        requests: Those of all client processes together, or a sample of them.
        kind: Of the schedule; gaps of ``poisson`` and ``constant`` are known beforehand.
    """
    due, possible, sent = (_gaps(requests, times) for times in (requests.intended, requests.possible, requests.sent))
    if sent.size < LEAST_GAPS or not due.any():
        return None
    tolerance, gap = max(TOLERANCE_NS, TOLERANCE_SHARE * float(due.mean())), float(np.median(due))
    distance = {"poisson": _from_exponential, "constant": _from_constant}.get(kind, _unknown)
    poisson = kind == "poisson"
    statistic = exponential_statistic(sent) if poisson else math.nan
    return SendCheck(
        gaps=int(sent.size),
        rate_rps=1e9 / float(sent.mean()),
        possible_rate_rps=1e9 / float(possible.mean()),
        planned_rate_rps=1e9 / float(due.mean()),
        anderson_darling=statistic,
        p_value=p_value(statistic),
        distance=distance(sent, gap, tolerance),
        planned_p_value=p_value(exponential_statistic(due)) if poisson else math.nan,
        planned_distance=distance(due, gap, tolerance),
        client_distance=_apart(sent, possible, tolerance),
        waited_share=float(np.mean(requests.possible > requests.intended)),
    )


def send_faults(check: SendCheck | None) -> Iterator[Finding]:
    """Why a run is not to be believed: it did not send what its name says."""
    if check is None:
        return
    if check.plan_broken:
        yield Finding(codes.NOT_AS_NAMED, {"distance": check.planned_distance, "gaps": check.gaps})
    if check.client_at_fault:
        yield Finding(codes.SENT_OTHERWISE, {"distance": check.client_distance, "gaps": check.gaps})
    if check.slower_than(check.possible_rate_rps):
        values: dict[str, codes.Value] = {"rate_rps": check.rate_rps, "possible_rps": check.possible_rate_rps}
        yield Finding(codes.SENT_SLOWER, values)


def send_findings(check: SendCheck | None) -> Iterator[Finding]:
    """What a reader has to know of the sends of a run that may be believed."""
    if check is None or check.client_at_fault or check.plan_broken:
        return
    if check.broken or (check.waited_share > 0 and check.slower_than(check.planned_rate_rps)):
        values: dict[str, codes.Value] = {
            "waited_share": check.waited_share,
            "rate_rps": check.rate_rps,
            "planned_rps": check.planned_rate_rps,
        }
        yield Finding(codes.SENDS_WAITED, values)


def _broken(distance: float, probability: float) -> bool:
    """Large, and where a probability is known, not by chance either."""
    return distance > DISTANCE and not probability >= SIGNIFICANCE


def _gaps(requests: SentRequests, times: Int64s) -> Int64s:
    """Gaps between times that follow each other, within each stretch."""
    return np.concatenate([np.diff(np.sort(times[part])) for part in requests.stretches])


def _from_exponential(gaps: Int64s, _: float, tolerance: float) -> float:
    """Distance to the exponential distribution of the same mean."""
    ordered, mean = np.sort(gaps), float(gaps.mean())
    share = np.arange(gaps.size + 1) / gaps.size
    more = share[1:] + np.expm1(-(ordered + tolerance) / mean)
    less = -np.expm1(-np.maximum(ordered - tolerance, 0) / mean) - share[:-1]
    return max(float(more.max()), float(less.max()), 0.0)


def _from_constant(gaps: Int64s, gap: float, tolerance: float) -> float:
    """Distance to a gap that is always the same."""
    return max(float(np.mean(gaps < gap - tolerance)), float(np.mean(gaps > gap + tolerance)))


def _unknown(*_: object) -> float:
    return math.nan


def _apart(one: Int64s, two: Int64s, tolerance: float) -> float:
    """Distance between the gaps of two samples."""
    a, b = np.sort(one), np.sort(two)
    return max(_further(a, b, tolerance), _further(b, a, tolerance), 0.0)


def _further(a: Int64s, b: Int64s, tolerance: float) -> float:
    """The most by which the share of ``a`` up to a value exceeds that of ``b`` up to a tolerance more."""
    ahead = np.arange(1, a.size + 1) / a.size - np.searchsorted(b, a + tolerance, side="right") / b.size
    return float(ahead.max())
