"""What the pairs of a caching audit prove."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from loadtest.judge.caching import LIMIT, Caching, Pair, conclude_caching
from loadtest.judge.findings import Finding
from loadtest.judge.intervals import geometric_estimate
from loadtest.records import from_json, to_json
from loadtest.report.wording import words

STEADY = (0.97, 1.0, 1.01, 1.03, 0.99, 1.02)


def pairs(ratios: tuple[float, ...], failed: int = 0, client_bound: bool = False) -> list[Pair]:
    """Pairs in which the repeated input was so many times as fast."""
    return [Pair(1_000.0, 1_000.0 * ratio, 100, failed, client_bound) for ratio in ratios]


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [
        (STEADY, "not cached"),
        (tuple(1.2 * ratio for ratio in STEADY), "cached"),
        (tuple(0.5 * ratio for ratio in STEADY), "not cached"),
        (tuple(LIMIT * ratio for ratio in STEADY), "not certain"),
        ((0.5, 2.0, 0.6, 1.8, 1.0), "not certain"),
        ((1.5,), "not certain"),
        ((), "not certain"),
    ],
)
def test_the_interval_decides(ratios: tuple[float, ...], verdict: str) -> None:
    """Above the limit as a whole, below it as a whole, or neither; one pair has no interval."""
    assert conclude_caching(pairs(ratios)).verdict == verdict


def test_a_client_at_its_limit_hides_a_cache_and_feigns_none() -> None:
    """Nothing is proven for a server that the client could not outrun; what is faster all the same is proven."""
    assert conclude_caching(pairs(STEADY, client_bound=True)).verdict == "not certain"
    assert conclude_caching(pairs(tuple(2 * ratio for ratio in STEADY), client_bound=True)).verdict == "cached"


def test_failed_requests_leave_it_open() -> None:
    """A request that failed has no speed."""
    found = conclude_caching(pairs(STEADY, failed=1))
    assert found.verdict == "not certain"
    assert "6 requests failed" in words(found.finding)


def test_a_pair_without_answers_gives_no_ratio() -> None:
    """It is left out, and a server that answered nothing at all is not certain."""
    silent = Pair(0.0, 0.0, 0, 10, False)
    assert math.isnan(silent.ratio)
    assert conclude_caching([silent]).verdict == "not certain"
    assert geometric_estimate([math.nan, *STEADY]) == geometric_estimate(STEADY)


def test_the_words_tell_the_figures() -> None:
    """With the interval and what is allowed."""
    told = words(conclude_caching(pairs(tuple(2 * ratio for ratio in STEADY))).finding)
    assert told.startswith("CACHED: ")
    assert "2.01 [1.9" in told
    assert "allowed is 1.10" in told
    assert "unknown" in words(conclude_caching([]).finding)


@pytest.mark.parametrize("ratios", [STEADY, ()])
def test_a_record_survives_its_file(ratios: tuple[float, ...]) -> None:
    """Also where there is nothing to tell."""
    found = conclude_caching(pairs(ratios))
    again = from_json(to_json(found), Caching, "test")
    assert replace(again, ratio=found.ratio) == found
    assert json.loads(to_json(again)) == json.loads(to_json(found))
    assert isinstance(again.finding, Finding)


def test_intervals_of_log_means_cover_the_truth_95_times_in_100() -> None:
    """For ratios that spread as those of short runs do."""
    random, truth, sittings = np.random.default_rng(1), 1.05, 2_000
    covered = 0
    for _ in range(sittings):
        found = geometric_estimate((truth * np.exp(random.normal(0, 0.15, 12))).tolist())
        covered += found.low <= truth <= found.high
    assert abs(covered / sittings - 0.95) < 4 * math.sqrt(0.95 * 0.05 / sittings)


@pytest.mark.parametrize("truth", [LIMIT * 0.999, LIMIT * 1.001])
def test_two_looks_are_wrong_once_in_twenty_at_most(truth: float) -> None:
    """A server just within the limit is hardly called cached, and one just beyond it hardly not cached."""
    random, sittings, wrong = np.random.default_rng(2), 1_000, 0
    for _ in range(sittings):
        ratios = truth * np.exp(random.normal(0, 0.1, 24))
        found = conclude_caching(pairs(tuple(ratios[:12])))
        if not found.certain:
            found = conclude_caching(pairs(tuple(ratios)))
        wrong += found.verdict == ("cached" if truth < LIMIT else "not cached")
    assert 0 < wrong / sittings < 0.05 + 4 * math.sqrt(0.05 * 0.95 / sittings)
