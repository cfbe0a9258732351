"""Two comparisons side by side: what got faster, what slower, and what is a tie."""

import math
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from loadtest.errors import UsageError
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.intervals import (
    Estimate,
    geometric_estimate,
    independent_percentile_ratio,
    independent_ratio,
    is_tie,
    percentile_estimate,
)
from loadtest.judge.ranked import RoundTimes
from loadtest.judge.server_result import ServerResult
from loadtest.records import Number
from loadtest.report.reading import Results

SCHEMA_VERSION = 2
SAME = ("workload", "host", "launcher", "plan")


@dataclass(frozen=True)
class Change:
    """One measure of one server in both files.

    Attributes:
        server: Server key.
        measure: ``p50``, ``p99``, ``ceiling`` or ``cpu`` (at the ceiling).
        before: In the first file.
        after: In the second one.
        ratio: After over before, with its interval.
        verdict: ``better``, ``worse``, ``tie`` or ``unknown``.
    """

    server: str
    measure: str
    before: Number
    after: Number
    ratio: Estimate
    verdict: str


@dataclass(frozen=True)
class Difference:
    """What two comparisons of one name differ in.

    Attributes:
        name: Of both.
        changes: Measures of the servers that stand in both.
        conditions: What else differs, so that a change may not be the server's: one line each.
        missing: Servers that stand in one file only.
    """

    name: str
    changes: list[Change]
    conditions: list[str]
    missing: list[str]


@dataclass(frozen=True)
class Differences:
    """What two files differ in; diff.json holds it.

    Attributes:
        comparisons: One for each comparison that stands in both.
        missing: Comparisons that stand in one file only.
        kind: ``diff``.
        schema_version: Of this record.
    """

    comparisons: list[Difference]
    missing: list[str]
    kind: str = "diff"
    schema_version: int = SCHEMA_VERSION


def differences(before: Results, after: Results) -> Differences:
    """Compare the comparisons of two files by their names; where both hold one only, these two.

    Raises:
        UsageError: If no name stands in both, or see `difference`.
    """
    old, new = before.comparisons, after.comparisons
    if len(old) == len(new) == 1:
        return Differences([difference(*old.values(), *new.values())], [])
    both = [name for name in old if name in new]
    if not both:
        raise UsageError(
            f"no comparison stands in both files: {', '.join(old)} in the first, {', '.join(new)} in the second"
        )
    return Differences([difference(old[name], new[name]) for name in both], _in_one_file(old, new))


def _in_one_file(old: Collection[str], new: Collection[str]) -> list[str]:
    return [
        *(f"{name} is only in the first file" for name in old if name not in new),
        *(f"{name} is only in the second file" for name in new if name not in old),
    ]


def difference(before: ComparisonResult, after: ComparisonResult) -> Difference:
    """Compare two comparisons; rounds of different files are not paired.

    Raises:
        UsageError: If they were made under different launchers, or by different methods.
    """
    one, two = (result.launcher.get("launcher", "unknown") for result in (before, after))
    if one != two:
        raise UsageError(
            f"the first file was measured under the launcher {one} and the second under {two}: such numbers do not "
            "belong in one table; measure both under the same launcher"
        )
    if before.method != after.method:
        raise UsageError(
            f"the first file was measured by method {before.method} and the second by method {after.method}: a change "
            "between them may be one of the method; measure both with the same release"
        )
    old, new = ({server.key: server for server in result.servers} for result in (before, after))
    batches = before.plan.batch, after.plan.batch
    changes = [change for key in old if key in new for change in _changes(key, (old[key], new[key]), batches)]
    return Difference(after.name, changes, _conditions(before, after), _in_one_file(old, new))


def _changes(key: str, both: tuple[ServerResult, ServerResult], batches: tuple[int, int]) -> list[Change]:
    found = []
    for percent, name in ((50.0, "p50"), (99.0, "p99")):
        sides = [_times(side) for side in both]
        ratio = independent_percentile_ratio(sides[1], sides[0], percent)
        before, after = (percentile_estimate(side, percent).value for side in sides)
        found.append(_change(key, name, before, after, ratio, smaller_is_better=True))
    for name, smaller in (("ceiling", False), ("cpu", True)):
        values = [_values(side, name, batch) for side, batch in zip(both, batches, strict=True)]
        ratio = independent_ratio(values[1], values[0])
        before, after = (geometric_estimate(side).value for side in values)
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


def _times(server: ServerResult) -> list[RoundTimes]:
    return [one.open_loop.response_times for one in server.valid_rounds]


def _values(server: ServerResult, name: str, batch: int) -> list[float]:
    if name == "ceiling":
        return [one.closed_loop.throughput_rps for one in server.valid_ceiling_rounds]
    return [
        one.closed_usage.cpu_s / (one.closed_loop.requests.ok * batch) * 1000
        for one in server.valid_ceiling_rounds
        if one.closed_usage and not math.isnan(one.closed_usage.cpu_s)
    ]


def _conditions(before: ComparisonResult, after: ComparisonResult) -> list[str]:
    lines = []
    for section in SAME:
        one, two = (_plain(getattr(result, section)) for result in (before, after))
        lines += [
            f"{section}.{name}: {one.get(name)} before, {two.get(name)} after"
            for name in sorted({*one, *two})
            if repr(one.get(name)) != repr(two.get(name))  # repr: what is not known (NaN) is the same on both sides
        ]
    return lines


def _plain(section: Any) -> dict[str, Any]:
    return dict(section) if isinstance(section, dict) else asdict(section)
