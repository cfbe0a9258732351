"""What result.json holds: comparisons, one for each model and batch size that one command measured."""

from dataclasses import dataclass, field

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.records import Count

SCHEMA_VERSION = 4
KIND = "comparison"


@dataclass
class ResultFile:
    """The comparisons of one command; complete or not, they can be reported.

    Attributes:
        comparisons: Those that were begun, in their order.
        planned: Names of all that were asked for; see `loadtest.judge.comparison_result.comparison_name`.
        failures: Why one that was begun measured nothing, by its name.
        kind: ``comparison``.
        schema_version: Of this record.
        made_from: Digest of the first line of the runs.jsonl that this was made from; empty in results without one.
        entries: How many lines that file had: this is older than one that has more.
    """

    comparisons: list[ComparisonResult] = field(default_factory=list)
    planned: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    kind: str = KIND
    schema_version: int = SCHEMA_VERSION
    made_from: str = ""
    entries: Count = 0

    def hold(self, comparison: ComparisonResult) -> None:
        """Take in a comparison, or what there is of it by now."""
        names = [one.name for one in self.comparisons]
        if comparison.name in names:
            self.comparisons[names.index(comparison.name)] = comparison
        else:
            self.comparisons.append(comparison)

    def fail(self, name: str, reason: str) -> None:
        """Note that a comparison measured nothing."""
        self.comparisons = [one for one in self.comparisons if one.name != name]
        self.failures[name] = reason
