"""The record of one run: what files hold of it."""

import math
from dataclasses import dataclass

from loadtest.judge.method import FIRST
from loadtest.judge.ranked import RoundTimes
from loadtest.judge.send_process import SendCheck
from loadtest.judge.server_times import ServerTimes
from loadtest.judge.verdict import Verdict
from loadtest.load.histogram import Histogram
from loadtest.load.recorder import Window
from loadtest.records import Count, Number

SCHEMA_VERSION = 3
"""Of a run's record; scripts of others read its names, which change only with this number."""

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99_9": 99.9}


@dataclass(frozen=True)
class Run:
    """What was run, where and how.

    Attributes:
        target: Address.
        wire: Name of the wire format, such as ``rest`` or ``grpc``.
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
        cv: Coefficient of variation of the gaps of a gamma schedule; None of any other.
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
    cv: float | None = None

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

    @property
    def failed(self) -> int:
        """Those without a correct answer."""
        return self.scheduled - self.ok


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
    """A bound for each percentile of the response time, in milliseconds; not known where there are too few requests."""

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
        certified_ms: What the percentiles of the response time do not exceed, with 99 % confidence, for requests that
            are independent of each other; see `loadtest.judge.samples`.
        low_ms: Lower ends of the 95 % intervals of the percentiles within this run; see
            `loadtest.judge.single_run_interval`.
        high_ms: Their upper ends.
        correlation: Of each response time with the next one, by which these intervals are wider.
        corrected_response_time_ms: Of a closed loop, the response times after the correction for coordinated omission
            of HdrHistogram, which is no measurement: it assumes that each connection would have sent once in
            `expected_interval_ms`, and that what it did not send meanwhile would have waited. None of an open loop.
        expected_interval_ms: Mean time between two sends of one connection of a closed loop; None of an open loop.
        receive_lag_ms: How long answers waited for the client once they were readable; None where it is not known.
        start_spread_s: From the first client process that began the measured phase to the last one.
        receive_lag_by: Who told the receive lag: ``kernel``, by its time stamps, or ``loop``, by the turns of the
            client's event loop, which is a bound (see `loadtest.load.loop_turn`); empty where it is not known.
        sends: What was really sent; None of a closed loop and where it is not known.
        server_times: The times as the server itself tells them; None where it was not asked.
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
    low_ms: Bounds | None = None
    high_ms: Bounds | None = None
    correlation: Number = math.nan
    corrected_response_time_ms: Times | None = None
    expected_interval_ms: Number | None = None
    receive_lag_ms: Lag | None = None
    start_spread_s: Number = math.nan
    receive_lag_by: str = ""
    sends: SendCheck | None = None
    server_times: ServerTimes | None = None

    @property
    def response_times(self) -> RoundTimes:
        """The response times of all requests; without answers where their distribution was not kept."""
        kept = self.response_time_distribution
        failed = self.requests.failed
        if kept is None or not kept.counts:
            return RoundTimes(Histogram(), failed)
        slowest = round(self.response_time_ms.max * 1e6)
        return RoundTimes(Histogram.from_counts(kept.highest_ns, kept.counts, 0, slowest), failed)
