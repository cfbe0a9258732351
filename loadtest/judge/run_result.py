"""The result of one run: as it was measured, with its histograms, and as the record that files hold."""

import math
from dataclasses import dataclass

from loadtest.judge.method import FIRST, METHOD
from loadtest.judge.ranked import RoundTimes
from loadtest.judge.verdict import Evidence, Verdict, judge_run
from loadtest.load.histogram import Histogram
from loadtest.load.recorder import Tally, Window
from loadtest.load.steadiness import steady_from
from loadtest.records import Count, Number

SCHEMA_VERSION = 3
"""Of a run's record; scripts of others read its names, which change only with this number."""

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99_9": 99.9}


@dataclass(frozen=True)
class Run:
    """What was run, where and how.

    Attributes:
        target: Address.
        wire: ``rest`` or ``grpc``.
        expectation: How answers were checked: golden, file or none.
        payloads: Number of different requests.
        schedule: Kind of schedule.
        rate: Offered rate in requests per second; 0 in a closed loop.
        duration_s: Planned length.
        warmup_s: Longest warm-up before it; it ends as soon as the server is steady.
        connections: Connections of all client processes together.
        processes: Client processes.
        seed: Seed of the schedule.
        timeout_s: Limit for one request.
    """

    target: str
    wire: str
    expectation: str
    payloads: int
    schedule: str
    rate: float
    duration_s: float
    warmup_s: float
    connections: int
    processes: int
    seed: int
    timeout_s: float

    @property
    def open_loop(self) -> bool:
        """Whether requests were due by the clock."""
        return self.schedule != "closed"


@dataclass(frozen=True)
class Warmup:
    """The closed loop before a run.

    Attributes:
        requests: Its requests.
        duration_s: How long it lasted.
        steady: Whether it ended since the server was steady, and not at its bound; None where that is not known.
    """

    requests: Count
    duration_s: float
    steady: bool | None


@dataclass(frozen=True)
class Requests:
    """What became of the requests.

    Attributes:
        scheduled: All of them.
        sent: Those that were sent.
        ok: Answered correctly.
        mismatched: Answered wrongly.
        errors: Failed, by kind.
    """

    scheduled: Count
    sent: Count
    ok: Count
    mismatched: Count
    errors: dict[str, Count]


@dataclass(frozen=True)
class Times:
    """Mean, percentiles and maximum of a time in milliseconds; not known where there are too few samples.

    Percentiles of the response time are over all requests: a failed one is slower than any answer, so a percentile
    whose rank falls among the failed ones is infinite. All else is over the correct answers.
    """

    mean: Number
    p50: Number
    p90: Number
    p95: Number
    p99: Number
    p99_9: Number
    max: Number


@dataclass(frozen=True)
class Bounds:
    """What each percentile of the response time does not exceed, with 99 % confidence, in milliseconds.

    It holds for requests that are independent of each other; see `loadtest.judge.samples`.
    """

    p50: Number
    p90: Number
    p95: Number
    p99: Number
    p99_9: Number


@dataclass(frozen=True)
class Lag:
    """Median, 99th percentile and maximum of a lag of the client in milliseconds."""

    p50: Number
    p99: Number
    max: Number


@dataclass(frozen=True)
class ClientUse:
    """What the load cost the client.

    Attributes:
        cpu_share: CPU use of the busiest client process, as a share of one core.
        cpu_s: CPU seconds of all client processes.
    """

    cpu_share: float
    cpu_s: float


@dataclass(frozen=True)
class Distribution:
    """A histogram of response times.

    Attributes:
        highest_ns: Highest time, in nanoseconds, of each bucket that holds a request.
        counts: Requests in each of these buckets.
    """

    highest_ns: list[int]
    counts: list[Count]


@dataclass(frozen=True)
class RunResult:
    """The record of one run.

    Attributes:
        run: What was run.
        requests: What became of the requests.
        throughput_rps: Correct answers per second of the run, drain included.
        elapsed_s: From the start to the last answer or planned end, whichever is later.
        response_time_ms: From the intended send to the end of the answer.
        service_time_ms: From the actual send on.
        send_lag_ms: From the intended send, or the moment a connection was free for it, to the actual send.
        client: What the load cost the client.
        warmup: The warm-up, none of whose requests is counted here; None where there was none.
        steady_from_s: When the steady state began; None where it was not reached.
        windows: Time line.
        verdict: Whether the numbers can be believed.
        response_time_distribution: All response times, where they were kept.
        schema_version: Of this record.
        method: How it was measured; see `loadtest.judge.method`.
        certified_ms: Bounds of the percentiles of the response time.
        receive_lag_ms: How long answers waited for the client once the kernel had them; None where it does not tell.
        start_spread_s: From the first client process that began the measured phase to the last one.
    """

    run: Run
    requests: Requests
    throughput_rps: float
    elapsed_s: float
    response_time_ms: Times
    service_time_ms: Times
    send_lag_ms: Lag
    client: ClientUse
    warmup: Warmup | None
    steady_from_s: float | None
    windows: list[Window]
    verdict: Verdict
    response_time_distribution: Distribution | None = None
    schema_version: int = SCHEMA_VERSION
    method: int = FIRST
    certified_ms: Bounds | None = None
    receive_lag_ms: Lag | None = None
    start_spread_s: float = 0.0

    @property
    def response_times(self) -> RoundTimes:
        """The response times of all requests; without answers where their distribution was not kept."""
        kept = self.response_time_distribution
        failed = self.requests.scheduled - self.requests.ok
        if kept is None or not kept.counts:
            return RoundTimes(Histogram(), failed)
        slowest = round(self.response_time_ms.max * 1e6)
        return RoundTimes(Histogram.from_counts(kept.highest_ns, kept.counts, 0, slowest), failed)


@dataclass(frozen=True)
class MeasuredRun:
    """One run as it was measured.

    Attributes:
        run: What was run.
        tally: Requests and histograms.
        elapsed_s: From the start to the last answer or planned end, whichever is later.
        client_cpu_share: CPU use of the busiest client process, as a share of one core.
        client_cpu_s: CPU seconds of all client processes.
        steady_from_s: When the steady state began; None where it was not reached.
        warmup: The warm-up, none of whose requests is counted here; None where there was none.
        verdict: Whether the numbers can be believed.
        start_spread_s: From the first client process that began the measured phase to the last one.
    """

    run: Run
    tally: Tally
    elapsed_s: float
    client_cpu_share: float
    client_cpu_s: float
    steady_from_s: float | None
    warmup: Warmup | None
    verdict: Verdict
    start_spread_s: float = 0.0

    @property
    def throughput_rps(self) -> float:
        """Correct answers per second of the run, drain included."""
        return self.tally.ok / self.elapsed_s

    @property
    def spoiled(self) -> bool:
        """Whether the client or the machine, and not the server, made the run invalid: it may be taken again."""
        return not self.verdict.valid and self.tally.ok > 0 and not self.tally.mismatched

    def response_ms(self, percent: float) -> float:
        """A percentile of the response time over all requests, in milliseconds; NaN where there are too few for it.

        It is infinite where its rank falls among the failed requests.
        """
        return RoundTimes(self.tally.response, self.tally.failed).percentile_ms(percent)

    def result(self, *, distribution: bool = False) -> RunResult:
        """The record of the run.

        Args:
            distribution: Whether to keep the whole distribution of the response time.
        """
        tally = self.tally
        return RunResult(
            run=self.run,
            requests=Requests(
                tally.scheduled, tally.sent, tally.ok, tally.mismatched, dict(sorted(tally.errors.items()))
            ),
            throughput_rps=self.throughput_rps,
            elapsed_s=self.elapsed_s,
            response_time_ms=_times(tally.response, tally.failed),
            service_time_ms=_times(tally.service),
            send_lag_ms=_lag(tally.lag),
            client=ClientUse(self.client_cpu_share, self.client_cpu_s),
            warmup=self.warmup,
            steady_from_s=self.steady_from_s,
            windows=tally.windows,
            verdict=self.verdict,
            response_time_distribution=Distribution(*tally.response.nonzero()) if distribution else None,
            method=METHOD,
            certified_ms=_bounds(tally),
            receive_lag_ms=_lag(tally.receive_lag) if tally.receive_lag.count else None,
            start_spread_s=self.start_spread_s,
        )


def conclude(
    run: Run,
    tally: Tally,
    *,
    elapsed_s: float,
    client_cpu_share: float = 0.0,
    client_cpu_s: float = 0.0,
    warmup: Warmup | None = None,
    steal_share: float = math.nan,
    foreign_share: float = math.nan,
    start_spread_s: float = 0.0,
) -> MeasuredRun:
    """Find when a run became steady and judge it; for real runs and simulated ones.

    Args:
        run: What was run.
        tally: Requests and histograms of all client processes.
        elapsed_s: From the start to the last answer or planned end, whichever is later.
        client_cpu_share: CPU use of the busiest client process, as a share of one core.
        client_cpu_s: CPU seconds of all client processes.
        warmup: The warm-up before it.
        steal_share: Share of the time that the hypervisor took from the cores.
        foreign_share: Share of the server's cores that neither the server nor idling used; NaN where not known.
        start_spread_s: From the first client process that began the measured phase to the last one.
    """
    steady = steady_from(tally.windows)
    evidence = Evidence(
        tally,
        open_loop=run.open_loop,
        connections=run.connections,
        rate=run.rate,
        duration_s=run.duration_s,
        client_cpu_share=client_cpu_share,
        steal_share=steal_share,
        foreign_share=foreign_share,
        steady_from_s=steady,
        warmup_bound_s=run.warmup_s if warmup and not warmup.steady else None,
    )
    verdict = judge_run(evidence)
    return MeasuredRun(run, tally, elapsed_s, client_cpu_share, client_cpu_s, steady, warmup, verdict, start_spread_s)


def _times(histogram: Histogram, failed: int = 0) -> Times:
    percentiles = dict(
        zip(PERCENTILES, RoundTimes(histogram, failed).percentiles_ms(PERCENTILES.values()), strict=True)
    )
    return Times(mean=histogram.mean / 1e6, max=_max_ms(histogram), **percentiles)


def _bounds(tally: Tally) -> Bounds:
    times = RoundTimes(tally.response, tally.failed)
    return Bounds(**{name: times.certified_ms(percent) for name, percent in PERCENTILES.items()})


def _lag(histogram: Histogram) -> Lag:
    p50, p99 = histogram.percentiles([50, 99])
    return Lag(p50 / 1e6, p99 / 1e6, _max_ms(histogram))


def _max_ms(histogram: Histogram) -> float:
    return histogram.max / 1e6 if histogram.count else math.nan
