"""Intervals of one run's percentiles, and what the dependence of its response times does to them, in virtual time."""

import math

import numpy as np
import pytest
from scipy import stats

from loadtest.experiments.simulation import FaultyServer, FifoServer, exponential, fixed, simulate
from loadtest.judge.dependence import autocorrelation_time, lag_1_correlation, worth
from loadtest.judge.findings import DEPENDENT
from loadtest.judge.measured import MeasuredRun
from loadtest.judge.single_run_interval import binomial_ranks, percentile_interval
from loadtest.load.histogram import Histogram
from loadtest.load.recorder import Tally
from loadtest.load.schedule import Constant, Poisson
from loadtest.load.send_sample import MOST, SendSample, SentRequests
from loadtest.report.wording import words

SERVICE_S = 0.005


def queue(utilisation: float, seed: int, duration_s: float = 30.0) -> MeasuredRun:
    """A run against M/M/1."""
    server = FifoServer(exponential(SERVICE_S, seed=1_000 + seed))
    return simulate(Poisson(utilisation / SERVICE_S, duration_s), server, connections=256, seed=seed)


def truth_ms(utilisation: float, percent: float) -> float:
    """Sojourn time in M/M/1 (Kleinrock, Queueing Systems I, 1975, section 5.7)."""
    return -1e3 * math.log1p(-percent / 100) * SERVICE_S / (1 - utilisation)


NONE = SendSample().requests
"""Requests of which nobody knows in which order they were sent."""


def plain(response: Histogram, percent: float, failed: int = 0) -> tuple[float, float]:
    """The interval in milliseconds that independent requests would have."""
    low, high = percentile_interval(response, failed, percent, successive=NONE, correlation=math.nan)
    return low / 1e6, high / 1e6


def widened(run: MeasuredRun, name: str) -> tuple[float, float]:
    """The interval that the result tells."""
    result = run.result()
    assert result.low_ms is not None
    assert result.high_ms is not None
    return getattr(result.low_ms, name), getattr(result.high_ms, name)


def covers(bounds: tuple[float, float], value: float) -> bool:
    """Whether the interval holds the value; an end that is not known excludes nothing."""
    return not bounds[0] > value and not bounds[1] < value


def test_the_widened_interval_covers_better_near_saturation() -> None:
    """M/M/1 at 90 %: of 100 plain intervals fewer than a quarter hold the truth, of the widened ones 75 at least.

    Not 95 of 100: the dependence itself is only estimated from the run.
    """
    held = {(how, name): 0 for how in ("plain", "wider") for name in ("p50", "p90")}
    for seed in range(100):
        run = queue(0.9, seed)
        for name, percent in (("p50", 50.0), ("p90", 90.0)):
            truth = truth_ms(0.9, percent)
            held["plain", name] += covers(plain(run.tally.response, percent), truth)
            held["wider", name] += covers(widened(run, name), truth)
    for name in ("p50", "p90"):
        assert held["plain", name] < 25, held
        assert held["wider", name] >= 75, held


def test_independent_response_times_need_no_widening() -> None:
    """As many workers as connections: nothing waits, and 95 % of the intervals hold the truth."""
    truth = {"p50": math.log(2), "p90": math.log(10), "p99": math.log(100)}
    covered = dict.fromkeys(truth, 0)
    for seed in range(200):
        server = FifoServer(exponential(SERVICE_S, seed=seed), workers=256)
        run = simulate(Poisson(400.0, 5.0), server, connections=256, seed=seed)
        assert DEPENDENT not in {finding.code for finding in run.verdict.findings}
        for name, services in truth.items():
            covered[name] += covers(widened(run, name), services * SERVICE_S * 1e3)
    assert all(count >= 182 for count in covered.values()), covered


def sampled(response: list[int]) -> Tally:
    """A run with these response times, a request a millisecond."""
    times = np.array(response, dtype=np.int64)
    due = np.arange(times.size) * 1_000_000
    sample = SendSample(10.0)
    sample.add(due, due, due, times)
    return Tally(sends=sample)


@pytest.mark.parametrize("levels", [5, 1_000_000])
def test_the_correlation_is_spearmans(levels: int) -> None:
    """Against SciPy's, with many ties and with hardly any."""
    walk = np.convolve(np.random.default_rng(1).exponential(1.0, 2_000), np.ones(8), mode="valid")
    response = (walk / walk.max() * levels).astype(int).tolist()
    expected = stats.spearmanr(response[:-1], response[1:]).statistic
    assert lag_1_correlation(sampled(response).sends.requests) == pytest.approx(expected, rel=1e-3)
    assert expected > 0.7


def test_the_sample_of_a_long_run_tells_what_the_whole_would() -> None:
    """Of 200,000 requests stretches are kept: the same correlation, and the same autocorrelation, as of them all."""
    times = list(Poisson(800.0, 250.0).times(1))
    wait, response, services = 0, [], exponential(0.001, seed=2)
    for due, following, service in zip(times, [*times[1:], times[-1]], services, strict=False):
        response.append(wait + service)  # Lindley's recursion
        wait = max(wait + service - (following - due), 0)
    kept = simulate(Poisson(800.0, 250.0), FifoServer(exponential(0.001, seed=2)), connections=256).tally
    requests, threshold = kept.sends.requests, kept.response.percentile(90)
    assert requests.intended.size < MOST < len(times)
    whole = SentRequests(np.zeros(len(times), np.int64), *(np.array(one) for one in (times, times, times, response)))
    expected = stats.spearmanr(response[:-1], response[1:]).statistic
    assert lag_1_correlation(requests) == pytest.approx(expected, abs=0.02)
    assert autocorrelation_time(requests, threshold) == pytest.approx(autocorrelation_time(whole, threshold), rel=0.5)


@pytest.mark.parametrize("r", [0.0, 0.5, 0.9])
def test_autocorrelation_time_is_that_of_the_process(r: float) -> None:
    """Faster or slower than a threshold, kept with probability r and drawn anew else: (1 + r) / (1 - r)."""
    random = np.random.default_rng(4)
    drawn, anew = random.integers(0, 2, 30_000), random.random(30_000) >= r
    last_drawn = np.maximum.accumulate(np.where(anew, np.arange(30_000), 0))
    requests = sampled(drawn[last_drawn].tolist()).sends.requests
    assert autocorrelation_time(requests, 0.5) == pytest.approx((1 + r) / (1 - r), rel=0.15)


def test_correlation_rises_with_the_load() -> None:
    """Hardly any in an idle queue, nearly 1 near saturation; and the finding names what the requests are worth."""
    found = [lag_1_correlation(queue(utilisation, 5, 60.0).tally.sends.requests) for utilisation in (0.05, 0.5, 0.9)]
    assert found == sorted(found)
    assert found[0] < 0.2 < 0.9 < found[2]
    (finding,) = (one for one in queue(0.9, 5).verdict.findings if one.code == DEPENDENT)
    assert finding.number("worth") < finding.number("requests") / 10
    assert "successive response times depend on each other (rank correlation 0.9" in words(finding)


@pytest.mark.parametrize(
    ("correlation", "expected"), [(0.0, 1_000), (0.5, 333.3), (0.9, 52.63), (-0.5, 1_000), (math.nan, 1_000)]
)
def test_worth_of_correlated_requests(correlation: float, expected: float) -> None:
    """N (1 - r) / (1 + r); a negative correlation makes no interval narrower."""
    assert worth(1_000, correlation) == pytest.approx(expected, rel=1e-3)


def test_all_alike_have_no_correlation() -> None:
    """Where every response time is the same there are no ranks, and no widening."""
    run = simulate(Constant(100.0, 20.0), FifoServer(fixed(0.001)), connections=1)
    assert math.isnan(run.correlation)
    assert widened(run, "p99") == pytest.approx((1.0, 1.0), rel=1e-3)


@pytest.mark.parametrize(("count", "share"), [(20, 0.5), (100, 0.9), (1_000, 0.99), (100_000, 0.99), (10_000_000, 0.5)])
def test_ranks_bracket_the_quantile_with_95_per_cent(count: int, share: float) -> None:
    """Neither end could be nearer: the binomial probability beyond each is 2.5 % at most."""
    low, high = binomial_ranks(count, share)
    binomial = stats.binom(count, share)
    assert binomial.cdf(low - 1) <= 0.025 < binomial.cdf(low)
    assert binomial.sf(high - 1) <= 0.025 < binomial.sf(high - 2)


def test_an_end_beyond_the_requests_is_not_known() -> None:
    """The p99 of 100 requests: nothing lies far enough out to bound it from above."""
    response = Histogram()
    response.record(np.arange(1, 101) * 1_000_000)
    low, high = plain(response, 99.0)
    assert low == pytest.approx(97, rel=2e-2)
    assert math.isnan(high)
    assert math.isfinite(plain(response, 90.0)[1])


def test_failed_requests_are_slower_than_any_answer() -> None:
    """A tenth of them failed: p95 and p99 have no upper end, and neither has p90, which may lie among them."""
    server = FaultyServer(FifoServer(exponential(SERVICE_S, seed=1), workers=64), {"http_503": 0.1}, seed=2)
    run = simulate(Poisson(200.0, 20.0), server, connections=64)
    assert [widened(run, name)[1] for name in ("p90", "p95", "p99")] == [math.inf] * 3
    assert widened(run, "p99")[0] == math.inf
    assert math.isfinite(widened(run, "p50")[1])


def test_a_run_of_nothing_has_no_interval() -> None:
    """Neither end is known."""
    assert all(map(math.isnan, plain(Histogram(), 50.0)))
