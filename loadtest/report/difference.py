"""Two comparisons side by side: what got faster, what slower, and what is a tie."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from loadtest.errors import UsageError
from loadtest.judge.intervals import Estimate, independent_mean_ratio, independent_percentile_ratio, is_tie
from loadtest.judge.samples import enough_samples
from loadtest.load.histogram import Histogram
from loadtest.report.reading import histogram, plain, union, valid_rounds

SCHEMA_VERSION = 1
SAME = ("workload", "host", "launcher", "plan")


@dataclass(frozen=True)
class Change:
    """One measure of one server in both files.

    Attributes:
        server: Server key.
        measure: ``p50``, ``p99``, ``ceiling`` or ``cpu``.
        before: In the first file.
        after: In the second one.
        ratio: After over before, with its interval.
        verdict: ``better``, ``worse``, ``tie`` or ``unknown``.
    """

    server: str
    measure: str
    before: float
    after: float
    ratio: Estimate
    verdict: str


@dataclass(frozen=True)
class Diff:
    """What two files differ in.

    Attributes:
        changes: Measures of the servers that stand in both.
        conditions: What else differs, so that a change may not be the server's: one line each.
        missing: Servers that stand in one file only.
    """

    changes: list[Change]
    conditions: list[str]
    missing: list[str]

    def to_json(self) -> dict[str, Any]:
        """Plain data; None for what is not known."""
        changes = [
            {
                **vars(change),
                "before": plain(change.before),
                "after": plain(change.after),
                "ratio": change.ratio.to_json(),
            }
            for change in self.changes
        ]
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": "diff",
            "changes": changes,
            "conditions": self.conditions,
            "missing": self.missing,
        }


def diff(before: dict[str, Any], after: dict[str, Any]) -> Diff:
    """Compare two comparisons; rounds of different files are resampled independently.

    Raises:
        UsageError: If they were made under different launchers.
    """
    one, two = (document["launcher"].get("launcher", "unknown") for document in (before, after))
    if one != two:
        raise UsageError(
            f"the first file was measured under the launcher {one} and the second under {two}: such numbers do not "
            "belong in one table; measure both under the same launcher"
        )
    old, new = ({server["key"]: server for server in document["servers"]} for document in (before, after))
    changes = [change for key in old if key in new for change in _changes(key, old[key], new[key])]
    missing = [f"{key} is only in the first file" for key in old if key not in new]
    missing += [f"{key} is only in the second file" for key in new if key not in old]
    return Diff(changes, _conditions(before, after), missing)


def _changes(key: str, old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    found = []
    for percent, name in ((50.0, "p50"), (99.0, "p99")):
        sides = [_histograms(side) for side in (old, new)]
        ratio = independent_percentile_ratio(sides[1], sides[0], percent)
        before, after = (_percentile(side, percent) for side in sides)
        found.append(_change(key, name, before, after, ratio, smaller_is_better=True))
    for name, smaller in (("ceiling", False), ("cpu", True)):
        values = [_values(side, name) for side in (old, new)]
        ratio = independent_mean_ratio(values[1], values[0])
        before, after = (sum(side) / len(side) if side else math.nan for side in values)
        found.append(_change(key, name, before, after, ratio, smaller_is_better=smaller))
    return found


def _change(key: str, name: str, before: float, after: float, ratio: Estimate, *, smaller_is_better: bool) -> Change:
    if math.isnan(ratio.low):
        verdict = "unknown"
    elif is_tie(ratio):
        verdict = "tie"
    else:
        verdict = "better" if (ratio.value < 1) == smaller_is_better else "worse"
    return Change(key, name, before, after, ratio, verdict)


def _histograms(server: dict[str, Any]) -> list[Histogram]:
    return [histogram(one["open_loop"]) for one in valid_rounds(server)]


def _percentile(rounds: Sequence[Histogram], percent: float) -> float:
    """In milliseconds; NaN where the samples do not carry it."""
    whole = union(rounds)
    return whole.percentile(percent) / 1e6 if enough_samples(whole.count, percent) else math.nan


def _values(server: dict[str, Any], name: str) -> list[float]:
    if name == "ceiling":
        return [one["closed_loop"]["throughput_rps"] for one in valid_rounds(server, "closed_loop")]
    return [
        one["open_usage"]["cpu_s"] / one["open_loop"]["requests"]["ok"] * 1000
        for one in valid_rounds(server)
        if one["open_usage"] and one["open_usage"]["cpu_s"] is not None
    ]


def _conditions(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    lines = []
    for section in SAME:
        for name in sorted({*before[section], *after[section]}):
            one, two = before[section].get(name), after[section].get(name)
            if one != two:
                lines.append(f"{section}.{name}: {one} before, {two} after")
    return lines
