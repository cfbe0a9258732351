"""The result of one run, and its JSON. Scripts of others read these names: they change only with the schema version."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from loadtest.judge.samples import enough_samples
from loadtest.judge.verdict import Verdict
from loadtest.load.histogram import Histogram
from loadtest.load.recorder import Tally, Window

SCHEMA_VERSION = 1
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
        warmup_s: Length of the warm-up before it.
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


@dataclass(frozen=True)
class RunResult:
    """One measured run.

    Attributes:
        run: What was run.
        tally: Requests and distributions.
        elapsed_s: From the start to the last answer or planned end, whichever is later.
        client_cpu_share: CPU use of the busiest client process, as a share of one core.
        client_cpu_s: CPU seconds of all client processes.
        steady_from_s: When the steady state began; None where it was not reached.
        warmup_requests: Requests of the warm-up, none of which is counted here.
        verdict: Whether the numbers can be believed.
    """

    run: Run
    tally: Tally
    elapsed_s: float
    client_cpu_share: float
    client_cpu_s: float
    steady_from_s: float | None
    warmup_requests: int
    verdict: Verdict

    @property
    def throughput_rps(self) -> float:
        """Correct answers per second of the run, drain included."""
        return self.tally.ok / self.elapsed_s

    @property
    def spoiled(self) -> bool:
        """Whether the client or the machine, and not the server, made the run invalid: it may be taken again."""
        return not self.verdict.valid and self.tally.ok > 0 and not self.tally.mismatched

    def response_ms(self, percent: float) -> float:
        """A percentile of the response time in milliseconds; NaN where there are too few samples for it."""
        return _percentile_ms(self.tally.response, percent)

    def to_json(self, *, distribution: bool = False) -> dict[str, Any]:
        """The result as plain data.

        Args:
            distribution: Whether to add the whole response-time histogram (values in ns, and counts).
        """
        tally = self.tally
        document: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "run": asdict(self.run),
            "requests": {
                "scheduled": tally.scheduled,
                "sent": tally.sent,
                "ok": tally.ok,
                "mismatched": tally.mismatched,
                "errors": dict(sorted(tally.errors.items())),
            },
            "throughput_rps": round(self.throughput_rps, 3),
            "elapsed_s": round(self.elapsed_s, 6),
            "response_time_ms": summary_ms(tally.response),
            "service_time_ms": summary_ms(tally.service),
            "send_lag_ms": lag_ms(tally.lag),
            "client": {"cpu_share": round(self.client_cpu_share, 4), "cpu_s": round(self.client_cpu_s, 4)},
            "warmup_requests": self.warmup_requests,
            "steady_from_s": self.steady_from_s,
            "windows": [_window_json(window) for window in tally.windows],
            "verdict": asdict(self.verdict),
        }
        if distribution:
            values, counts = tally.response.nonzero()
            document["response_time_distribution"] = {"highest_ns": values, "counts": counts}
        return document


def summary_ms(histogram: Histogram) -> dict[str, float | None]:
    """Mean, percentiles and maximum in milliseconds; None for what the samples do not carry."""
    numbers = {"mean": histogram.mean / 1e6}
    numbers |= {name: _percentile_ms(histogram, percent) for name, percent in PERCENTILES.items()}
    numbers["max"] = histogram.max / 1e6 if histogram.count else math.nan
    return {name: _plain(value) for name, value in numbers.items()}


def lag_ms(histogram: Histogram) -> dict[str, float | None]:
    """Median, 99th percentile and maximum of the send lag in milliseconds."""
    p50, p99 = histogram.percentiles([50, 99])
    top = histogram.max / 1e6 if histogram.count else math.nan
    return {"p50": _plain(p50 / 1e6), "p99": _plain(p99 / 1e6), "max": _plain(top)}


def _percentile_ms(histogram: Histogram, percent: float) -> float:
    return histogram.percentile(percent) / 1e6 if enough_samples(histogram.count, percent) else math.nan


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)


def _window_json(window: Window) -> dict[str, float | None]:
    return {name: _plain(float(value)) for name, value in asdict(window).items()}
