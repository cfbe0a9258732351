"""What a capacity search found."""

from dataclasses import dataclass

from loadtest.judge.findings import Finding
from loadtest.judge.intervals import Estimate
from loadtest.records import Number


@dataclass(frozen=True)
class Probe:
    """One run of the search.

    Attributes:
        rate: Offered rate, requests per second.
        seed: Seed of its schedule.
        met: Whether the objective was met.
        observed_ms: The percentile, failed requests counting as infinitely slow.
        failed_share: Share of requests that failed.
    """

    rate: float
    seed: int
    met: bool
    observed_ms: Number
    failed_share: float


@dataclass(frozen=True)
class Capacity:
    """The highest rate at which a server meets an objective.

    Attributes:
        objective: What was to be met, as people write it.
        percent: Percentile of the objective.
        limit_ms: Its limit.
        rate_rps: Highest rate confirmed by a run of its own, 0 where even the lowest rate failed. Where the search
            ended at a limit of the client or the host: the highest rate that was met, below every rate that was missed.
        estimate_rps: Mean of the searches, with its interval.
        searches: Result of each search, requests per second.
        bounded_by_client: Whether the client or the host, and not the server, ended the search: the rate is a lower
            bound.
        limits: What kept the client or the host from offering a rate; empty where only the server set the limits.
        probes: Every run, in order.
    """

    objective: str
    percent: float
    limit_ms: float
    rate_rps: float
    estimate_rps: Estimate
    searches: list[float]
    bounded_by_client: bool
    limits: list[Finding]
    probes: list[Probe]
