"""What a soak found, in sentences: what became of the requests, and whether anything grew."""

import math
from typing import NamedTuple

from loadtest.judge.intervals import Estimate
from loadtest.judge.trend import Trend
from loadtest.report.wording import words
from loadtest.resilience.soak_result import DESCRIPTORS, MEMORY, P99, THREADS, Soak


class Quantity(NamedTuple):
    """What was sampled.

    Attributes:
        name: As it stands in a sentence.
        unit: Likewise, after a number.
    """

    name: str
    unit: str


QUANTITIES = {
    MEMORY: Quantity("memory", "MiB"),
    DESCRIPTORS: Quantity("open descriptors", "descriptors"),
    THREADS: Quantity("threads", "threads"),
    P99: Quantity("p99", "ms"),
}


def soak_sentences(found: Soak) -> list[str]:
    """What became of the requests, of the times, and of what the server holds.

    Args:
        found: A soak of one server.
    """
    return [*outcome(found), *(trend_sentence(name, trend) for name, trend in found.trends.items())]


def outcome(found: Soak) -> list[str]:
    """The sentences without those on trends."""
    told = [_requests(found)]
    if found.fault:
        told.append(f"It came to no end: {found.fault}.")
    elif not found.finished:
        told.append("It was cut short.")
    if not math.isnan(found.p99_ratio.value):
        told.append(
            f"In the last third of the time p99 was {_times(found.p99_ratio)} that of the first, the rate of right "
            f"answers {_times(found.rate_ratio)}."
        )
    if found.samples and DESCRIPTORS not in found.trends:
        told.append("Open descriptors could not be counted.")
    if found.totals and found.totals.faults:
        told.append(f"Its times are not to be believed: {'; '.join(words(fault) for fault in found.totals.faults)}.")
    return told


def trend_sentence(name: str, trend: Trend) -> str:
    """Whether a quantity grew, and which growth would have been told."""
    quantity = QUANTITIES[name]
    what, unit = quantity.name.capitalize(), quantity.unit
    slope = f"{span(trend.per_hour)} {unit} per hour"
    match trend.told:
        case "grows":
            return f"{what} grows by {slope}, {span(trend.per_million)} per million requests."
        case "shrinks":
            return f"{what} shrinks by {span(_negative(trend.per_hour))} {unit} per hour."
        case "settled":
            return f"{what} grew by {slope} and has settled: in the later half of the time no growth can be told."
        case "none":
            smallest = f"{number(trend.smallest_per_hour)} {unit} per hour would have been"
            return f"No growth of {quantity.name} can be told ({slope}; {smallest})."
    return f"Whether {quantity.name} grows is not known: only {trend.samples} samples."


def verdict(trend: Trend) -> str:
    """A trend in a cell of a table."""
    told = {"none": "no growth told", "settled": "grew and settled", "unknown": "too few samples"}
    return told.get(trend.told, trend.told)


def _requests(found: Soak) -> str:
    totals = found.totals
    if totals is None:
        return "No request was counted."
    kinds = [f"{count:,} {kind}" for kind, count in (*totals.lost.items(), *totals.refused.items())]
    named = f" ({', '.join(kinds)})" if kinds else ""
    return (
        f"{totals.right:,} of {totals.requests:,} answers right in {totals.elapsed_s / 60:,.1f} minutes, "
        f"{totals.wrong:,} wrong, {sum(totals.lost.values()):,} lost, {sum(totals.refused.values()):,} refused{named}."
    )


def _times(ratio: Estimate) -> str:
    return f"{ratio.value:.3f} times [{ratio.low:.3f} to {ratio.high:.3f}]"


def span(value: Estimate) -> str:
    """A slope with its interval; a dash where it is not known."""
    if math.isnan(value.value):
        return "—"
    return f"{number(value.value)} [{number(value.low)} to {number(value.high)}]"


def _negative(value: Estimate) -> Estimate:
    return Estimate(-value.value, -value.high, -value.low)


def number(value: float) -> str:
    """Three significant digits; no minus before a zero."""
    if math.isnan(value):
        return "—"
    if not value:
        return "0"
    decimals = min(max(2 - math.floor(math.log10(abs(value))), 0), 4)
    text = f"{value:,.{decimals}f}"
    return text if float(text.replace(",", "")) else "0"
