"""What the first screen must not hide: lower bounds, objectives that nobody met, servers without a capacity."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest

from loadtest.judge.intervals import Estimate
from loadtest.report.headline import headline
from loadtest.report.reading import Document
from loadtest.report.starts import start_times
from loadtest.report.supported_digits import times
from loadtest.setup.server_setup import TimeToCorrect
from loadtest.setup.start_times import StartTimes, WarmStarts


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


def test_starts_are_taken_in_one_way_for_all(document: Document) -> None:
    """Those of the setup where it has two servers at least, otherwise those of the rounds; never some of each."""
    setup, rows = document.setup, document.comparison.summary
    assert setup
    assert start_times(document) == {
        key: Estimate(warm.median, warm.low, warm.high)
        for key in document.comparison.names
        if key in setup.servers and (warm := setup.servers[key].timeline.warm)
    }
    alone = replace(setup, servers={"torchserve": setup.servers["torchserve"]})
    of_rounds = {row.key: row.first_prediction_s for row in rows}
    assert start_times(Document(document.comparison, alone)) == of_rounds
    assert start_times(Document(document.comparison)) == of_rounds


def test_the_first_to_be_up_is_told(document: Document) -> None:
    """Where the ranges are apart one server starts fastest; where they overlap, or there are few starts, none does."""

    def told(starts: Mapping[str, tuple[float, ...]]) -> str:
        assert document.setup
        servers = dict(document.setup.servers)
        for key, seconds in starts.items():
            warm = WarmStarts.of([StartTimes(math.nan, math.nan, one) for one in seconds], "setup")
            servers[key] = replace(servers[key], timeline=TimeToCorrect(warm))
        return headline(Document(document.comparison, replace(document.setup, servers=servers)))[2]

    apart = {"flask_server": (1.0, 1.1, 1.3), "tf_serving": (2.0, 2.1, 2.2), "torchserve": (3.0, 3.1, 3.2)}
    assert told(apart).startswith("Flask + granian (torch) is up first, 1.1 s from start to the first correct answer; ")
    overlapping = apart | {"tf_serving": (1.2, 2.1, 2.2)}
    assert told(overlapping).startswith("No difference in start is established between Flask + granian (torch) 1.1 s")
    assert told(apart | {"torchserve": (3.0,)}).startswith("Fewer than 3 starts establish no difference")


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
