"""How often the 95 % intervals over rounds hold the truth, by simulation.

    scripts/bench interval_coverage

A sitting is some rounds of requests whose response times are drawn from a known distribution; each round has a scale of
its own (a random effect, lognormal), as another process in another minute has. The response times are lognormal; those
of the heavy tail have a p99 of 33 times their median. The truth of a percentile or a rate is that of the middle round:
the exponential of the mean logarithm over all rounds that there could be. The truth of a ratio is the ratio of the two.

Beside the method of this release stands the one before it, on the same rounds: the percentile bootstrap over rounds,
widened for their small number, of the percentile of all requests together, of the arithmetic mean, or of the ratio of
two of them. It is held against the truth of its own, that of the mixture of rounds.

The second table is of rounds that end as soon as the interval is narrow, as `compare --until` lets them. Every number
follows from the seed.
"""

import argparse
import datetime
import math
import platform
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.progress import track
from scipy.special import ndtri, stdtrit

from loadtest.judge.intervals import (
    MIN_ROUNDS,
    NOT_KNOWN,
    Estimate,
    geometric_estimate,
    paired_ratio,
    percentile_estimate,
)
from loadtest.judge.ranked import RoundTimes
from loadtest.judge.stopping import SETTLED, Until
from loadtest.judge.summary import SummaryRow
from loadtest.load.histogram import Histogram

REQUESTS = 1_250
ROUNDS = (3, 5, 10)
EFFECTS = (0.05, 0.15)
SIGMA = {"light": 0.5, "heavy": 1.5}
"""Of the logarithms of the response times: p99 is 3.2 and 33 times the median."""

MEDIAN_MS, RATIO, RATE = 2.0, 1.25, 1_000.0
SCATTERS = (0.05, 0.1, 0.15, 0.2)
UNTIL = Until("p99", 0.10)
BEFORE_SITTINGS, RESAMPLES, GRID = 1_000, 500, 200
SEED = 20_261_125

Random = np.random.Generator
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A sort of sitting.

    Attributes:
        tail: ``light`` or ``heavy``.
        effect: Standard deviation of the logarithm of a round's scale.
        rounds: Rounds of a sitting.
    """

    tail: str
    effect: float
    rounds: int

    def middle(self, percent: float) -> float:
        """The percentile of the middle round, in milliseconds: the truth of the present method."""
        return MEDIAN_MS * math.exp(SIGMA[self.tail] * float(ndtri(percent / 100)))

    def mixture(self, percent: float) -> float:
        """That of all rounds together: a mixture of such rounds is lognormal too. The truth of the method before."""
        return MEDIAN_MS * math.exp(math.hypot(SIGMA[self.tail], self.effect) * float(ndtri(percent / 100)))


@dataclass(frozen=True)
class Sitting:
    """The rounds of two servers that ran side by side.

    Attributes:
        ours: Response times, sorted within each round: shape (rounds, requests), milliseconds.
        theirs: Those of the other server.
        our_rates: Answers per second of each round.
        their_rates: Those of the other server.
    """

    ours: Floats
    theirs: Floats
    our_rates: Floats
    their_rates: Floats


def sittings(case: Case, count: int) -> Iterator[Sitting]:
    """So many sittings; half of the variance of a round's effect is the minute's, which both servers share."""
    random = np.random.default_rng([SEED, *map(ord, repr(case))])
    part = case.effect / math.sqrt(2)
    for _ in range(count):
        minute = random.normal(0, part, case.rounds)
        effects = [np.exp(minute + random.normal(0, part, case.rounds)) for _ in range(2)]
        times = [MEDIAN_MS * random.lognormal(0, SIGMA[case.tail], (case.rounds, REQUESTS)) for _ in range(2)]
        ours, theirs = (np.sort(drawn * effect[:, None]) for drawn, effect in zip(times, effects, strict=True))
        yield Sitting(RATIO * ours, theirs, RATIO * RATE / effects[0], RATE / effects[1])


def percentiles(rounds: Floats, percent: float) -> Floats:
    """The percentile of each round, as `RoundTimes` takes it from its histogram."""
    column: Floats = rounds[:, math.ceil(percent / 100 * rounds.shape[1] - 1e-6) - 1]
    return column


def numbered(values: Floats) -> dict[int, float]:
    """Values by the number of their round."""
    return dict(enumerate(values.tolist(), 1))


# The method before.


def drawn_rounds(random: Random, rounds: int) -> Floats:
    """How often each round is in each resample: the first row is the sitting itself, each round once."""
    drawn = random.multinomial(rounds, np.full(rounds, 1 / rounds), size=RESAMPLES)
    return np.vstack([np.ones(rounds), drawn])


def pooled(rounds: Floats, percent: float, weights: Floats) -> Floats:
    """The percentile of all requests together, for each row of weights."""
    # The percentile of any mixture lies between the smallest and the largest of the rounds' own.
    own = percentiles(rounds, percent)
    grid = np.linspace(own.min(), own.max(), GRID)
    reached = weights @ np.array([np.searchsorted(one, grid, side="right") for one in rounds], dtype=np.float64)
    rank = math.ceil(percent / 100 * rounds.size - 1e-6)
    found: Floats = grid[(reached < rank).sum(axis=1).clip(max=GRID - 1)]
    return found


def bootstrap(values: Floats, rounds: int) -> Estimate:
    """The percentile bootstrap interval, widened for few rounds: the first value is the estimate."""
    value = float(values[0])
    low, high = np.percentile(values[1:], [2.5, 97.5])
    wider = math.sqrt(rounds / (rounds - 1)) * float(stdtrit(rounds - 1, 0.975)) / float(ndtri(0.975))
    return Estimate(value, max(value - wider * (value - low), 0.0), value + wider * (high - value))


# What is estimated, by both.


@dataclass(frozen=True)
class Measure:
    """What is estimated.

    Attributes:
        name: In words.
        estimate: Of a sitting.
        truth: Of a case.
        before: The values of the method before: of a sitting, and for each row of weights.
        truth_before: Of a case.
        tail: Whether the tail matters to it.
    """

    name: str
    estimate: Callable[[Sitting], Estimate]
    truth: Callable[[Case], float]
    before: Callable[[Sitting, Floats], Floats]
    truth_before: Callable[[Case], float]
    tail: bool = True


def _percentile(percent: float) -> Measure:
    return Measure(
        f"p{percent:g}",
        lambda one: geometric_estimate(percentiles(one.theirs, percent).tolist()),
        lambda case: case.middle(percent),
        lambda one, weights: pooled(one.theirs, percent, weights),
        lambda case: case.mixture(percent),
    )


MEASURES = (
    _percentile(50.0),
    _percentile(99.0),
    Measure(
        "ratio of p99",
        lambda one: paired_ratio(numbered(percentiles(one.ours, 99.0)), numbered(percentiles(one.theirs, 99.0))),
        lambda _: RATIO,
        lambda one, weights: pooled(one.ours, 99.0, weights) / pooled(one.theirs, 99.0, weights),
        lambda _: RATIO,
    ),
    Measure(
        "mean rate",
        lambda one: geometric_estimate(one.their_rates.tolist()),
        lambda _: RATE,
        lambda one, weights: weights @ one.their_rates / len(one.their_rates),
        lambda case: RATE * math.exp(case.effect**2 / 2),
        tail=False,
    ),
    Measure(
        "ratio of rates",
        lambda one: paired_ratio(numbered(one.our_rates), numbered(one.their_rates)),
        lambda _: RATIO,
        lambda one, weights: (weights @ one.our_rates) / (weights @ one.their_rates),
        lambda _: RATIO,
        tail=False,
    ),
)
CASES = [Case(tail, effect, rounds) for tail in SIGMA for effect in EFFECTS for rounds in ROUNDS]


@dataclass
class Score:
    """How often an interval held the truth, and how wide it was."""

    holds: int = 0
    halves: int = 0
    half: float = 0.0

    def add(self, estimate: Estimate, truth: float) -> None:
        """Count an interval."""
        self.holds += estimate.low <= truth <= estimate.high
        self.halves += 1
        self.half += (estimate.high - estimate.low) / 2 / estimate.value

    def cells(self) -> list[str]:
        """For the table: the share, and the mean of the half width as a share of the value."""
        return [f"{self.holds / self.halves:.1%}", f"±{self.half / self.halves:.0%}"]


def study(case: Case, count: int) -> dict[str, tuple[Score, Score]]:
    """Every measure in every sitting of a case: by the present method, and by the one before."""
    random = np.random.default_rng([SEED, 1])
    scores = {measure.name: (Score(), Score()) for measure in MEASURES}
    for number, one in enumerate(sittings(case, count)):
        if number == 0:
            _check(one)
        for measure in MEASURES:
            now, before = scores[measure.name]
            now.add(measure.estimate(one), measure.truth(case))
            if number < BEFORE_SITTINGS:
                values = measure.before(one, drawn_rounds(random, case.rounds))
                before.add(bootstrap(values, case.rounds), measure.truth_before(case))
    return scores


def _check(one: Sitting) -> None:
    """The load tester, given the same requests, comes to the same interval, but for the digits of its histogram."""
    rounds = []
    for times in one.theirs:
        histogram = Histogram()
        histogram.record((times * 1e6).astype(np.int64))
        rounds.append(RoundTimes(histogram))
    whole, here = percentile_estimate(rounds, 99.0), geometric_estimate(percentiles(one.theirs, 99.0).tolist())
    assert math.isclose(whole.value, here.value, rel_tol=2e-3), (whole, here)


def until(scatter: float, first: int, count: int) -> tuple[Score, float]:
    """Rounds that end at the first narrow interval.

    Args:
        scatter: Standard deviation of the logarithm of a round's p99.
        first: Rounds before the first look.
        count: Sittings.

    Returns:
        The score, and the mean number of rounds.
    """
    random = np.random.default_rng([SEED, 2, round(100 * scatter)])
    score, rounds = Score(), 0
    for _ in range(count):
        values = np.exp(random.normal(0, scatter, first)).tolist()
        while UNTIL.open([_row(values)]):
            values.append(math.exp(random.normal(0, scatter)))
        score.add(geometric_estimate(values), 1.0)
        rounds += len(values)
    return score, rounds / count


def _row(values: list[float]) -> SummaryRow:
    """A server of which only its p99 in each round is known."""
    no, p99 = NOT_KNOWN, geometric_estimate(values)
    return SummaryRow("", "", len(values), no, no, p99, no, no, no, no, no, 0, 0)


def report(found: dict[Case, dict[str, tuple[Score, Score]]], count: int) -> str:
    """The tables, with what they were made by."""
    command = shlex.join(["scripts/bench", "interval_coverage", *sys.argv[1:]])
    chance = [100 * 1.96 * math.sqrt(0.95 * 0.05 / number) for number in (count, min(count, BEFORE_SITTINGS))]
    lines = [
        "# How often the 95 % intervals hold the truth",
        "",
        f"Simulated on {datetime.date.today()} by `{command}`: {count:,} sittings a case ({BEFORE_SITTINGS:,} of them "
        f"by the method before), {REQUESTS:,} requests a round, Python {platform.python_version()}, NumPy "
        f"{np.__version__}, seed {SEED}. By chance alone a share of 95 % comes out within {chance[0]:.1f} points of it "
        f"({chance[1]:.1f} for the method before), 19 times in 20. The truth is that of the middle round; of this, of "
        "the tails and of the effects of rounds the head of `benchmarks/interval_coverage.py` tells more.",
        "",
        "| measure | tail | effect of a round | rounds | holds the truth | half width | before: holds | half width |",
        "| :--- | :--- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for measure in MEASURES:
        for case, scores in found.items():
            if measure.tail or case.tail == "light":
                tail = case.tail if measure.tail else ""
                cells = [measure.name, tail, f"{case.effect:.0%}", str(case.rounds)]
                cells += [cell for score in scores[measure.name] for cell in score.cells()]
                lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        f"Rounds that go on until {UNTIL}, of one server. `compare --until` looks from round {SETTLED} on; looking "
        f"from round {MIN_ROUNDS} on ends too often where few rounds agree by luck.",
        "",
        f"| a round's p99 scatters by | holds the truth, from round {SETTLED} on | rounds | from round {MIN_ROUNDS} on "
        "| rounds |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for scatter in SCATTERS:
        both = [until(scatter, first, count) for first in (SETTLED, MIN_ROUNDS)]
        cells = [cell for score, rounds in both for cell in (score.cells()[0], f"{rounds:.1f}")]
        lines.append("| " + " | ".join([f"{scatter:.0%}", *cells]) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the study and write its tables beside this program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sittings", type=int, default=4_000, help="of each case (default: %(default)s)")
    parser.add_argument("--write", type=Path, default=Path(__file__).with_suffix(".md"), help="file of the tables")
    arguments = parser.parse_args()
    shown = track(CASES, "cases", disable=not sys.stderr.isatty())
    text = report({case: study(case, arguments.sittings) for case in shown}, arguments.sittings)
    arguments.write.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
