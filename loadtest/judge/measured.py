"""One run as it was measured, with its histograms, and how it becomes a verdict and a record."""

import math
from dataclasses import dataclass

from loadtest.judge.dependence import lag_1_correlation
from loadtest.judge.method import METHOD
from loadtest.judge.ranked import RoundTimes
from loadtest.judge.run_result import (
    PERCENTILES,
    Bounds,
    ClientUse,
    Distribution,
    Lag,
    Requests,
    Run,
    RunResult,
    Times,
    Warmup,
)
from loadtest.judge.samples import enough_samples
from loadtest.judge.send_process import SendCheck, check_sends
from loadtest.judge.server_times import ServerTimes
from loadtest.judge.single_run_interval import percentile_interval
from loadtest.judge.verdict import Evidence, Verdict, judge_run
from loadtest.load.histogram import Histogram
from loadtest.load.recorder import Tally
from loadtest.load.steadiness import steady_from


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
        correlation: Of each response time with the next one.
        receive_lag_by: Who told the receive lag: ``kernel``, ``loop``, or nobody.
        sends: What was really sent; None of a closed loop and where it is not known.
        server_times: The times as the server itself tells them; None where it was not asked.
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
    correlation: float = math.nan
    receive_lag_by: str = ""
    sends: SendCheck | None = None
    server_times: ServerTimes | None = None

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
        return _ranked(self.tally).percentile_ms(percent)

    def result(self, *, distribution: bool = False) -> RunResult:
        """The record of the run.

        Args:
            distribution: Whether to keep the whole distribution of the response time.
        """
        tally = self.tally
        low, high = _intervals(tally, self.correlation)
        interval = self._expected_interval_ns
        return RunResult(
            run=self.run,
            requests=Requests(
                tally.scheduled, tally.sent, tally.ok, tally.mismatched, dict(sorted(tally.errors.items()))
            ),
            throughput_rps=self.throughput_rps,
            elapsed_s=self.elapsed_s,
            response_time_ms=_times(_ranked(tally)),
            service_time_ms=_times(RoundTimes(tally.service)),
            send_lag_ms=_lag(tally.lag),
            client=ClientUse(self.client_cpu_share, self.client_cpu_s),
            warmup=self.warmup,
            steady_from_s=self.steady_from_s,
            windows=tally.windows,
            verdict=self.verdict,
            response_time_distribution=Distribution(*tally.response.nonzero()) if distribution else None,
            method=METHOD,
            certified_ms=_certified(tally),
            low_ms=low,
            high_ms=high,
            correlation=self.correlation,
            corrected_response_time_ms=None if interval is None else _corrected(tally, interval),
            expected_interval_ms=None if interval is None else interval / 1e6,
            receive_lag_ms=_lag(tally.receive_lag) if tally.receive_lag.count else None,
            start_spread_s=self.start_spread_s,
            receive_lag_by=self.receive_lag_by,
            sends=self.sends,
            server_times=self.server_times,
        )

    @property
    def _expected_interval_ns(self) -> float | None:
        """Mean time between two sends of one connection of a closed loop, in nanoseconds, as wrk reckons it."""
        if self.run.open_loop or not self.tally.sent:
            return None
        return self.elapsed_s * 1e9 * self.run.connections / self.tally.sent


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
    receive_lag_by: str = "",
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
        receive_lag_by: Who told the receive lag: ``kernel``, ``loop``, or nobody.
    """
    steady = steady_from(tally.windows)
    requests = tally.sends.requests
    correlation = lag_1_correlation(requests)
    sends = check_sends(requests, run.schedule) if run.open_loop else None
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
        sends=sends,
        cv=run.cv or 1.0,
        correlation=correlation,
    )
    return MeasuredRun(
        run,
        tally,
        elapsed_s,
        client_cpu_share,
        client_cpu_s,
        steady,
        warmup,
        judge_run(evidence),
        start_spread_s,
        correlation,
        receive_lag_by,
        sends,
    )


def _ranked(tally: Tally) -> RoundTimes:
    return RoundTimes(tally.response, tally.failed)


def _times(times: RoundTimes) -> Times:
    percentiles = dict(zip(PERCENTILES, times.percentiles_ms(PERCENTILES.values()), strict=True))
    return Times(mean=times.answers.mean / 1e6, max=_max_ms(times.answers), **percentiles)


def _intervals(tally: Tally, correlation: float) -> tuple[Bounds, Bounds]:
    """The lower and the upper ends."""
    low, high, successive = dict[str, float](), dict[str, float](), tally.sends.requests
    for name, percent in PERCENTILES.items():
        ends = math.nan, math.nan
        if enough_samples(tally.ok + tally.failed, percent):
            ends = percentile_interval(
                tally.response, tally.failed, percent, successive=successive, correlation=correlation
            )
        low[name], high[name] = (end / 1e6 for end in ends)
    return Bounds(**low), Bounds(**high)


def _certified(tally: Tally) -> Bounds:
    return Bounds(**{name: _ranked(tally).certified_ms(percent) for name, percent in PERCENTILES.items()})


def _corrected(tally: Tally, interval_ns: float) -> Times:
    return _times(RoundTimes(tally.response.corrected(round(interval_ns)), tally.failed))


def _lag(histogram: Histogram) -> Lag:
    p50, p99 = histogram.percentiles([50, 99])
    return Lag(p50 / 1e6, p99 / 1e6, _max_ms(histogram))


def _max_ms(histogram: Histogram) -> float:
    return histogram.max / 1e6 if histogram.count else math.nan
