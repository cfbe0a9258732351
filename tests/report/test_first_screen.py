"""What the first screen must not hide: lower bounds, objectives that nobody met, servers without a capacity."""

import math
from dataclasses import replace

import pytest

from loadtest.judge.intervals import Estimate
from loadtest.report.headline import headline
from loadtest.report.reading import Document
from loadtest.report.supported_digits import times


def throughput(document: Document) -> str:
    """The sentence that tells who carries most."""
    return headline(document)[1]


def test_a_lower_bound_is_told_as_one(document: Document) -> None:
    """Where the client ended a search, the rate is what the server carries at least."""
    searched = [server for server in document.comparison.servers if server.capacity]
    for bounded in (True, False):
        for server in searched:
            assert server.capacity
            server.capacity = replace(server.capacity, bounded_by_client=bounded)
            assert (f"{server.label} at least " in throughput(document)) is bounded


def test_servers_whose_capacity_is_not_known_are_named(document: Document) -> None:
    """A search that failed does not let its server vanish from the sentence."""
    missing = [server.label for server in document.comparison.servers if server.capacity is None]
    assert len(missing) == 2
    assert throughput(document).endswith(f"; not known for {missing[0]} and {missing[1]}.")


def test_an_objective_that_nobody_met_has_no_winner(document: Document) -> None:
    """A capacity of zero is no capacity."""
    for server in document.comparison.servers:
        if server.capacity:
            server.capacity = replace(server.capacity, estimate_rps=Estimate(0.0, 0.0, 0.0), bounded_by_client=False)
    assert throughput(document) == "No server met p90<100ms at any rate that was tried."


@pytest.mark.parametrize(
    ("ratio", "told"),
    [
        ((1.71, 1.06, 2.09), "1.7 times"),
        ((8.36, 3.47, 11.68), "8 times"),
        ((1.4, 1.05, 5.0), "1.4 times"),
        ((1.04, 1.01, 1.3), "1.04 times"),
        ((1.0, 0.9, 1.1), "1.0 times"),
        ((2.0, math.nan, math.nan), "2.0 times"),
    ],
)
def test_a_ratio_that_is_not_one_does_not_read_as_one(ratio: tuple[float, float, float], told: str) -> None:
    """A difference that is established is seen in the number as well."""
    assert times(Estimate(*ratio)) == told
