"""The two sentences say what the intervals carry, and no more."""

from dataclasses import replace

import pytest

from loadtest.judge.capacity_result import Capacity
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.findings import TOLD, Finding
from loadtest.judge.intervals import NOT_KNOWN, Estimate
from loadtest.judge.run_result import Warmup
from loadtest.judge.summary import Ratio
from loadtest.judge.verdict import Verdict
from loadtest.report.answer import answer, conditions, validity
from loadtest.report.table import remarks

Interval = tuple[float, float, float]
COLUMNS = {"p99": "p99_ms", "ceiling": "ceiling_rps"}


def estimate(interval: Interval | None) -> Estimate:
    """An estimate, or what stands for one that is not known."""
    return Estimate(*interval) if interval else NOT_KNOWN


def rank(
    comparison: ComparisonResult, measure: str, values: dict[str, Interval | None], ratios: dict[str, Interval]
) -> None:
    """Give servers these values of a measure, and pairs of servers (``one/two``) these ratios."""
    comparison.servers = [replace(one, capacity=None) for one in comparison.servers if one.key in values]
    comparison.summary = [
        replace(row, **{COLUMNS[measure]: estimate(values[row.key])})  # type: ignore[arg-type]  # a name of the row
        for row in comparison.summary
        if row.key in values
    ]
    comparison.ratios = [
        Ratio(one, two, measure, estimate(ratio), tie=False)
        for (one, two), ratio in ((pair.split("/"), ratio) for pair, ratio in ratios.items())
    ]


def capacities(comparison: ComparisonResult, values: dict[str, Interval | None], *, bounded: str = "") -> None:
    """Give servers these capacities; None for one whose search failed."""
    comparison.summary = [row for row in comparison.summary if row.key in values]
    comparison.servers = [one for one in comparison.servers if one.key in values]
    for server in comparison.servers:
        found = values[server.key]
        server.capacity = found and Capacity(
            objective="p99<50ms, errors<0.1%",
            percent=99.0,
            limit_ms=50.0,
            rate_rps=found[1],
            estimate_rps=estimate(found),
            searches=list(found),
            bounded_by_client=server.key == bounded,
            limits=[],
            probes=[],
        )


def test_a_server_is_faster_where_the_interval_of_the_ratio_leaves_out_one(comparison: ComparisonResult) -> None:
    """The winner is named with its p99, and the other one with the ratio and its interval."""
    rank(
        comparison,
        "p99",
        {"flask_server": (4.0, 3.5, 4.5), "torchserve": (12.0, 11.0, 13.0)},
        {"torchserve/flask_server": (3.0, 2.5, 3.6)},
    )
    said = answer(comparison)[0]
    assert "Flask + granian (torch) has the lowest p99, 4.00 ms [3.50 to 4.50]" in said
    assert "TorchServe has 3.00 times that [2.50 to 3.60]" in said


def test_a_ratio_that_stands_the_other_way_round_is_turned(comparison: ComparisonResult) -> None:
    """Whichever server comes first in the file, the slower one is told as a multiple of the faster one."""
    rank(
        comparison,
        "p99",
        {"flask_server": (4.0, 3.5, 4.5), "torchserve": (16.0, 11.0, 20.0)},
        {"flask_server/torchserve": (0.25, 0.2, 0.5)},
    )
    assert "TorchServe has 4.00 times that [2.00 to 5.00]" in answer(comparison)[0]


def test_a_tie_is_called_a_tie(comparison: ComparisonResult) -> None:
    """Where the interval spans 1 nobody is called faster, even if the values differ by half."""
    rank(
        comparison,
        "p99",
        {"flask_server": (4.0, 2.0, 9.0), "torchserve": (6.0, 3.0, 9.0)},
        {"torchserve/flask_server": (1.5, 0.7, 3.0)},
    )
    said = answer(comparison)[0]
    assert "are a tie for the lowest p99" in said
    assert "times that" not in said


def test_two_rounds_establish_nothing(comparison: ComparisonResult) -> None:
    """Without intervals the numbers are told, and that no difference is established."""
    comparison.plan = replace(comparison.plan, rounds=2)
    rank(
        comparison,
        "ceiling",
        {"flask_server": (2000.0, 0, 0), "torchserve": (500.0, 0, 0)},
        {"torchserve/flask_server": (0.25, 0.2, 0.3)},
    )
    said = answer(comparison)[1]
    assert "no difference is established" in said
    assert "highest" not in said


def test_unknown_numbers_are_not_ranked(comparison: ComparisonResult) -> None:
    """With no valid run there is no winner, and the sentence says why."""
    rank(comparison, "p99", {"flask_server": None, "torchserve": None}, {})
    assert "No server gave a p99" in answer(comparison)[0]


@pytest.mark.parametrize(
    ("values", "bounded", "said"),
    [
        ({"flask_server": (900.0, 850.0, 950.0), "torchserve": (200.0, 180.0, 220.0)}, "", "carries most"),
        ({"flask_server": (900.0, 150.0, 950.0), "torchserve": (200.0, 180.0, 220.0)}, "", "are a tie for the highest"),
        ({"flask_server": (900.0, 850.0, 950.0), "torchserve": None}, "", "known of Flask + granian (torch)"),
        ({"flask_server": (900.0, 850.0, 950.0), "torchserve": None}, "flask_server", "at least 900"),
        ({"flask_server": (0.0, 0.0, 0.0), "torchserve": None}, "", "No server met"),
    ],
)
def test_capacities_are_ranked_by_their_intervals(
    comparison: ComparisonResult, values: dict[str, Interval | None], bounded: str, said: str
) -> None:
    """The second sentence tells the capacity where it is known apart, a tie, a bound of the client, or nothing."""
    capacities(comparison, values, bounded=bounded)
    assert said in answer(comparison)[1]


def test_conditions_name_the_load_and_the_machine(comparison: ComparisonResult) -> None:
    """No answer stands without the rate, the rounds and the cores that it holds for."""
    text = conditions(comparison)
    plan = comparison.plan
    for part in (f"{plan.common_rate_rps:,.0f} requests/s", f"{plan.rounds} rounds", comparison.host.cpu):
        assert part in text
    comparison.plan = replace(plan, rounds=1)
    assert "1 round of" in conditions(comparison)


def test_conditions_say_how_narrow_the_intervals_were_to_be(comparison: ComparisonResult) -> None:
    """And whether they became so in the time that they had; nothing where nobody asked."""
    assert "until" not in conditions(comparison)
    comparison.plan = replace(comparison.plan, rounds=7, until="p50 +-10%", within_s=1_800.0)
    comparison.until_reached = True
    assert "7 rounds of 1.4 s until p50 ±10 %, launcher" in conditions(comparison)
    comparison.until_reached = False
    assert "until p50 ±10 %, which was not reached within 30 minutes, launcher" in conditions(comparison)


def test_every_invalid_run_is_counted_and_explained(comparison: ComparisonResult) -> None:
    """Valid and invalid runs of open loop, closed loop and curve add up, each invalid one with its reason."""
    server = comparison.servers[0]
    no = Verdict(False, [Finding(TOLD, {"text": "the client sent late"})])
    first, second, *others = server.rounds
    first = replace(first, open_loop=replace(first.open_loop, verdict=no))
    second = replace(second, curve=[replace(second.curve[0], verdict=no), *second.curve[1:]])
    server.rounds = [first, second, *others]
    found = validity(comparison)[0]
    assert found.total == sum(2 + len(one.curve) for one in server.rounds)
    assert found.valid + len(found.reasons) == found.total
    assert sum("the client sent late" in reason for reason in found.reasons) >= 2


def test_a_server_that_was_still_warming_up_is_told(comparison: ComparisonResult) -> None:
    """Runs that became steady late, or never, stand below the table with what to do; steady ones do not."""
    for server in comparison.servers:
        server.rounds = [replace(one, open_loop=replace(one.open_loop, steady_from_s=0.0)) for one in server.rounds]
    assert "steady" not in " ".join(remarks(comparison))
    server = comparison.servers[0]
    valid = server.valid_rounds
    starts = dict(zip([one.number for one in valid], [1.5, None], strict=False))

    def told(warmup: Warmup | None) -> str:
        server.rounds = [
            replace(one, open_loop=replace(one.open_loop, steady_from_s=starts.get(one.number, 0.0), warmup=warmup))
            for one in server.rounds
        ]
        (line,) = [line for line in remarks(comparison) if "steady from" in line]
        label = comparison.names[server.key]
        assert line.startswith(f"{label}: 2 of {len(valid)} runs at the common rate were not steady from the start")
        return line

    assert "(from 1.5 s on at the latest, 1 never): a longer --warmup" in told(Warmup(4_000, 10.0, steady=False))
    assert "a longer --warmup" in told(None)
    assert "longer rounds (--duration)" in told(Warmup(900, 2.1, steady=True))


def test_warm_ups_that_ended_at_their_bound_are_told(comparison: ComparisonResult) -> None:
    """Counted over every run of the server; those that ended since it was steady are not mentioned."""
    warm, cut = Warmup(900, 2.1, steady=True), Warmup(4_000, 10.0, steady=False)
    for server in comparison.servers:
        server.rounds = [
            replace(
                one, open_loop=replace(one.open_loop, warmup=warm), closed_loop=replace(one.closed_loop, warmup=warm)
            )
            for one in server.rounds
        ]
    assert "warm-ups ended" not in " ".join(remarks(comparison))
    server = comparison.servers[0]
    first, *others = server.rounds
    server.rounds = [replace(first, closed_loop=replace(first.closed_loop, warmup=cut)), *others]
    (line,) = [line for line in remarks(comparison) if "warm-ups ended" in line]
    runs = sum(1 for _, run in server.runs if run.warmup)
    bound = f"{comparison.plan.warmup_s:g} s"
    assert line == (
        f"{comparison.names[server.key]}: 1 of {runs} warm-ups ended at their bound of {bound}, before the server was "
        "steady"
    )
