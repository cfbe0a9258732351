"""How often the 95 % intervals over rounds hold the truth, by simulation.

    scripts/bench interval_coverage

A sitting is some rounds of requests whose response times are drawn from a known distribution; each round has a scale of
its own (a random effect), as another process in another minute has. The truth of a percentile is that of the middle
round. Beside the method of this release stands the one before it: the percentile bootstrap over rounds, widened for
their small number, of the percentile of all requests together, whose truth is that of the mixture of rounds. Every
number follows from the seed.
"""

import argparse
import datetime
import math
import platform
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.progress import track
from scipy.special import ndtri, stdtrit

from loadtest.judge.intervals import Estimate, mean_estimate, paired_ratio, percentile_estimate, percentile_ratio
from loadtest.judge.ranked import RoundTimes
from loadtest.load.histogram import Histogram

REQUESTS = 1_250
ROUNDS = (3, 5, 10)
EFFECTS = (0.05, 0.15)
MEDIAN_MS = 2.0
SIGMA = {"light": 0.5, "heavy": 1.5}
"""Of the logarithms of the response times: p99 is 3.2 and 33 times the median."""

RATIO = 1.25
RESAMPLES = 1_000
SEED = 20_261_125

Random = np.random.Generator
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A sort of sitting.

    Attributes:
        what: The measure, in words.
        tail: ``light`` or ``heavy``.
        effect: Standard deviation of the logarithm of a round's scale.
        rounds: Rounds of a sitting.
    """

    what: str
    tail: str
    effect: float
    rounds: int


def response_times(random: Random, case: Case, scale: float = 1.0) -> list[Floats]:
    """The response times of each round, in milliseconds."""
    scales = scale * np.exp(random.normal(0, case.effect, case.rounds))
    return [MEDIAN_MS * one * random.lognormal(0, SIGMA[case.tail], REQUESTS) for one in scales]


def recorded(values: Floats) -> RoundTimes:
    """A round as the load tester records it."""
    histogram = Histogram()
    histogram.record((values * 1e6).astype(np.int64))
    return RoundTimes(histogram)


def middle_percentile(case: Case, percent: float) -> float:
    """The truth of the present method, in milliseconds."""
    return MEDIAN_MS * math.exp(SIGMA[case.tail] * float(ndtri(percent / 100)))


def mixture_percentile(case: Case, percent: float) -> float:
    """The truth of the method before: the logarithms of a mixture of such rounds are normal too."""
    spread = math.hypot(SIGMA[case.tail], case.effect)
    return MEDIAN_MS * math.exp(spread * float(ndtri(percent / 100)))


def bootstrap_percentile(random: Random, rounds: list[Floats], percent: float) -> Estimate:
    """The method before: rounds are drawn with replacement, the percentile of all their requests is taken."""
    count = len(rounds)
    rank = math.ceil(percent / 100 * count * REQUESTS - 1e-6)
    # The percentile of any mixture lies between the smallest and the largest of the rounds' own.
    own = [float(np.sort(one)[math.ceil(percent / 100 * REQUESTS - 1e-6) - 1]) for one in rounds]
    between = [one[(one >= min(own)) & (one <= max(own))] for one in rounds]
    below = np.array([(one < min(own)).sum() for one in rounds], dtype=np.float64)
    edges = np.sort(np.concatenate(between))
    table = np.zeros((count, len(edges)))
    for number, one in enumerate(between):
        table[number, np.searchsorted(edges, one)] = 1

    def percentiles(weights: Floats) -> Floats:
        reached = (weights @ below)[:, None] + np.cumsum(weights @ table, axis=1)
        found: Floats = edges[(reached < rank).sum(axis=1)]
        return found

    value = float(percentiles(np.ones((1, count)))[0])
    drawn = random.multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(np.float64)
    low, high = np.percentile(percentiles(drawn), [2.5, 97.5])
    wider = math.sqrt(count / (count - 1)) * float(stdtrit(count - 1, 0.975)) / float(ndtri(0.975))
    return Estimate(value, max(value - wider * (value - low), 0.0), value + wider * (high - value))


def holds(estimate: Estimate, truth: float) -> bool:
    """Whether the interval holds the truth."""
    return estimate.low <= truth <= estimate.high


def width(estimate: Estimate) -> float:
    """Half of the interval, as a share of the value."""
    return (estimate.high - estimate.low) / 2 / estimate.value


Sitting = Callable[[Random, Case], tuple[Estimate, float]]


def percentile(percent: float) -> Sitting:
    """A sitting that estimates this percentile, and its truth."""
    return lambda random, case: (
        percentile_estimate([recorded(one) for one in response_times(random, case)], percent),
        middle_percentile(case, percent),
    )


def percentile_before(percent: float) -> Sitting:
    """The same by the method before."""
    return lambda random, case: (
        bootstrap_percentile(random, response_times(random, case), percent),
        mixture_percentile(case, percent),
    )


def ratio_of_p99(random: Random, case: Case) -> tuple[Estimate, float]:
    """Two servers side by side: half of the effect is the minute's and in common."""
    minute = np.exp(random.normal(0, case.effect, case.rounds))
    sides = [
        {number: recorded(one * minute[number]) for number, one in enumerate(response_times(random, case, scale=scale))}
        for scale in (RATIO, 1.0)
    ]
    return percentile_ratio(sides[0], sides[1], 99.0), RATIO


def mean_rate(random: Random, case: Case) -> tuple[Estimate, float]:
    """Answers per second, one number a round."""
    return mean_estimate((1_000 * random.normal(1, case.effect, case.rounds)).tolist()), 1_000.0


def ratio_of_rates(random: Random, case: Case) -> tuple[Estimate, float]:
    """Answers per second of two servers side by side."""
    draws = np.exp(random.normal(0, case.effect, (2, case.rounds)))
    ours, theirs = (dict(enumerate(side.tolist())) for side in draws)
    return paired_ratio(ours, theirs), 1.0


PRESENT: dict[str, Sitting] = {
    "p50": percentile(50.0),
    "p99": percentile(99.0),
    "ratio of p99": ratio_of_p99,
    "mean rate": mean_rate,
    "ratio of rates": ratio_of_rates,
}
BEFORE: dict[str, Sitting] = {"p50": percentile_before(50.0), "p99": percentile_before(99.0)}
ONE_TAIL = ("mean rate", "ratio of rates")


def cases() -> list[Case]:
    """Every case; the tail does not matter to what has none."""
    return [
        Case(what, tail, effect, rounds)
        for what in PRESENT
        for tail in (SIGMA if what not in ONE_TAIL else ("light",))
        for effect in EFFECTS
        for rounds in ROUNDS
    ]


def study(sitting: Sitting, case: Case, sittings: int) -> tuple[float, float]:
    """How often the interval holds the truth, and the median of its half width as a share of the value."""
    random = np.random.default_rng([SEED, *map(ord, repr(case))])
    found = [sitting(random, case) for _ in range(sittings)]
    return sum(holds(*one) for one in found) / sittings, float(np.median([width(one) for one, _ in found]))


def report(rows: list[tuple[Case, tuple[float, float], tuple[float, float] | None]], sittings: int) -> str:
    """The table, with what it was made by."""
    command = shlex.join(["scripts/bench", "interval_coverage", *sys.argv[1:]])
    chance = 1.96 * math.sqrt(0.95 * 0.05 / sittings)
    lines = [
        "# How often the 95 % intervals hold the truth",
        "",
        f"Simulated on {datetime.date.today()} by `{command}`: {sittings:,} sittings a case, {REQUESTS:,} requests a "
        f"round, Python {platform.python_version()}, NumPy {np.__version__}, seed {SEED}. By chance alone a share of "
        f"95 % comes out within {100 * chance:.1f} points of it, 19 times in 20. What a truth is, and the tails and "
        "effects of rounds: `benchmarks/interval_coverage.py`.",
        "",
        "| measure | tail | effect of a round | rounds | holds the truth | half width | before: holds | half width |",
        "| :--- | :--- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for case, (share, half), before in rows:
        old = [f"{before[0]:.1%}", f"±{before[1]:.0%}"] if before else ["", ""]
        tail = "" if case.what in ONE_TAIL else case.tail
        cells = [case.what, tail, f"{case.effect:.0%}", f"{case.rounds}", f"{share:.1%}", f"±{half:.0%}", *old]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the study and write its table beside this program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sittings", type=int, default=1_000, help="of each case (default: %(default)s)")
    parser.add_argument("--write", type=Path, default=Path(__file__).with_suffix(".md"), help="file of the table")
    arguments = parser.parse_args()
    rows = []
    for case in track(cases(), "cases", disable=not sys.stderr.isatty()):
        before = study(BEFORE[case.what], case, arguments.sittings) if case.what in BEFORE else None
        rows.append((case, study(PRESENT[case.what], case, arguments.sittings), before))
    text = report(rows, arguments.sittings)
    arguments.write.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
