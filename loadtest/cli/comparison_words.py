"""What `compare` says before it begins and after it has ended."""

from collections.abc import Sequence
from pathlib import Path

from loadtest.cli.common import stdout
from loadtest.experiments.contender import Contender
from loadtest.experiments.expected_time import Expected, expected_time
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.report.answer import conditions, why_apart
from loadtest.report.headline import ease_of_setup, headline, speed
from loadtest.report.reading import Results
from loadtest.report.table import remarks
from loadtest.report.terminal_table import terminal_tables
from loadtest.setup.setup_plan import Probes

SETUP_TIME: dict[Probes, Expected] = {
    "quick": Expected(20.0, 60.0),
    "full": Expected(90.0, 180.0),
    "none": Expected(0.0, 10.0),
}
"""How long the ease of setup takes with each form of the probes."""


def say_what_comes(
    names: Sequence[str], plans: Sequence[ComparisonPlan], entered: Sequence[Contender], setup: Expected
) -> None:
    """How long it takes, before it begins."""
    servers = len({one.server.key for one in entered})
    wires = list(dict.fromkeys(one.wire for one in entered))
    told = f"{servers} server{'s' if servers > 1 else ''}" + (f" over {', '.join(wires)}" if len(wires) > 1 else "")
    asked = [[one for one in entered if one.pictures == plan.pictures] for plan in plans]
    every = [
        expected_time(plan, len(some)).times(len(names) // len(plans)) for plan, some in zip(plans, asked, strict=True)
    ]
    longer = ", and longer where a model is so slow that its percentiles need longer runs" if plans[0].stretch_s else ""
    stdout.print(
        f"{', '.join(names)}: {told}, rounds: {plans[0].rounds}; this takes {sum(every, setup)}{longer}",
        soft_wrap=True,
        markup=False,
    )


def tell(results: Results) -> None:
    """Each comparison as tables and sentences."""
    several = len(results.documents) > 1
    for document in results.documents:
        comparison = document.comparison
        if several:
            stdout.rule(comparison.name, align="left", characters="─")
        if apart := why_apart(comparison):
            stdout.print(apart, soft_wrap=True, markup=False)
        stdout.print(conditions(comparison), soft_wrap=True, markup=False)
        for table in terminal_tables(comparison):
            stdout.print(table)
        for sentence in speed(document) if several else headline(document):
            stdout.print(sentence, markup=False)
        for line in remarks(comparison):
            stdout.print(f"- {line}", soft_wrap=True, markup=False)
    if several and results.with_setup:
        stdout.rule("ease of setup", align="left", characters="─")
        for sentence in ease_of_setup(results.with_setup):
            stdout.print(sentence, markup=False)
    for name, reason in results.unmeasured.items():
        stdout.print(f"{name} was not measured: {reason}", soft_wrap=True, markup=False)


def say_what_next(page: Path) -> None:
    """What may be done with the result."""
    for line in (
        f"open the page: loadtest report --open {page.parent}",
        "ask a server: loadtest up prints a curl line for each",
        "compare in containers: loadtest compare --launcher compose",
    ):
        stdout.print(f"next, {line}", soft_wrap=True, markup=False)
