"""The first sentences of a report: who answers fastest, who carries most, and what is least work to set up.

A server is only put before another one where the interval of their ratio does not span 1; the intervals themselves
stand in the picture below. `loadtest.report.answer` tells the same with every number.
"""

import math
from collections.abc import Collection, Mapping, Sequence

from loadtest.judge.capacity_estimate import less_than
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.intervals import MIN_ROUNDS, Estimate
from loadtest.report.answer import ESTABLISHED, differs, listed, ratio_of
from loadtest.report.forms import by_form
from loadtest.report.reading import Document, failed_share
from loadtest.report.starts import start_times
from loadtest.report.supported_digits import supported, times
from loadtest.setup.server_setup import ServerSetup

TAILS = ("p99", "p95", "p50")


def headline(document: Document) -> list[str]:
    """One sentence for each question."""
    return [*speed(document), *ease_of_setup(document)]


def speed(document: Document) -> list[str]:
    """Who answers fastest, who carries most, and who is up first."""
    comparison = document.comparison
    starts = _starts(comparison.server_names, start_times(document)) if document.setup else ""
    told = [(form, tell(part)) for form, part in by_form(comparison) for tell in (_latency, _throughput)]
    return [*(f"{form}{sentence}" for form, sentence in told if sentence), *([starts] if starts else [])]


def ease_of_setup(document: Document) -> list[str]:
    """What is least work to set up; nothing where that was not measured."""
    if not document.setup:
        return []
    names = document.comparison.server_names
    known = {names[key]: one for key, one in document.setup.servers.items() if key in names}
    missing = [name for name in names.values() if name not in known]
    return [
        *(_setup(known) if len(known) > 1 else []),
        *([f"Ease of setup was not measured for {listed(missing)}."] if missing else []),
    ]


def tail(comparison: ComparisonResult) -> tuple[str, dict[str, Estimate]]:
    """The percentile that the first sentence and picture tell, and its known values by server key.

    It is p99, or where the runs are too short for it the next one that they are long enough for.
    """
    columns = {name: {row.key: getattr(row, f"{name}_ms") for row in comparison.summary} for name in TAILS}
    known = {name: {key: value for key, value in column.items() if value.known} for name, column in columns.items()}
    name = next((name for name in TAILS if known[name]), TAILS[0])
    return name, known[name]


def _latency(comparison: ComparisonResult) -> str:
    names = comparison.names
    measure, values = tail(comparison)
    if not values:
        return "No response time can be believed: every run at the common rate is invalid or too short."
    failing = [names[key] for key, value in values.items() if value.value == math.inf]
    order = sorted((key for key in values if values[key].value < math.inf), key=lambda key: values[key].value)
    share = failed_share(measure)
    if not order:
        return f"No server has a {measure}: at the common rate more than {share} of each one's requests failed."
    unranked = f" Not ranked, since more than {share} of the requests failed: {listed(failing)}." if failing else ""
    first, *others = order
    told = f"{measure} {supported(values[first])} ms"
    if not others:
        return f"Only {names[first]} has a {measure} that can be believed: {supported(values[first])} ms.{unranked}"
    if comparison.plan.rounds < ESTABLISHED:
        each = listed([f"{names[key]} {supported(values[key])} ms" for key in order])
        return f"Fewer than {ESTABLISHED} rounds establish no difference; {measure}: {each}.{unranked}"
    ratios = {key: ratio_of(comparison, key, first, measure) for key in others}
    ties = [key for key in others if not differs(ratios[key])]
    behind = [f"{names[key]} takes {times(ratios[key])} as long" for key in others if key not in ties]
    if ties:
        each = listed([f"{names[key]} ({supported(values[key])} ms)" for key in (first, *ties)])
        sentence = f"No difference in {measure} is established between {each}"
    else:
        sentence = f"{names[first]} answers fastest, {told}"
    return "; ".join([sentence, *behind]) + "." + unranked


def _throughput(comparison: ComparisonResult) -> str:
    """The capacities where they were searched, else the ceilings."""
    found = {server.key: server.capacity for server in comparison.servers if server.capacity}
    if not found:
        ceilings = {row.key: row.ceiling_rps for row in comparison.summary}
        return _most(comparison, ceilings, "requests/s in a closed loop")
    objective = next(iter(found.values())).objective.partition(",")[0]
    values = {key: capacity.estimate_rps for key, capacity in found.items()}
    if not any(value.value > 0 for value in values.values()):
        return f"No server met {objective} at any rate that was tried."
    bounds = [key for key, capacity in found.items() if capacity.bounded_by_client]
    behind = {one: {two for two in found if two != one and less_than(found[one], found[two])} for one in found}
    return _most(comparison, values, f"requests/s with {objective}", bounds, behind)


def _most(
    comparison: ComparisonResult,
    values: Mapping[str, Estimate],
    unit: str,
    bounds: Collection[str] = (),
    behind: Mapping[str, Collection[str]] | None = None,
) -> str:
    """Who carries most.

    Args:
        comparison: The comparison.
        values: By server key.
        unit: Of the values.
        bounds: Of these only a lower bound is known, and that is told.
        behind: By server key those that are known to carry more; where not given, intervals that do not meet tell it.
    """
    names = comparison.names
    order = sorted((key for key, value in values.items() if value.known), key=lambda key: -values[key].value)
    if not order:
        return ""
    told = {key: ("at least " if key in bounds else "") + supported(values[key]) for key in order}
    best = values[order[0]]
    if len(order) == 1:
        return f"Only of {names[order[0]]} it is known what it carries: {told[order[0]]} {unit}."
    # An interval that is not known sets none apart.
    ties = [key for key in order if not (values[key].high < best.low if behind is None else order[0] in behind[key])]
    rest = [f"{names[key]} {told[key]}" for key in order if key not in ties]
    missing = [names[key] for key in names if key not in order]
    rest += [f"not known for {listed(missing)}"] if missing else []
    if len(ties) == 1:
        sentence = f"{names[order[0]]} carries most, {told[order[0]]} {unit}"
    else:
        each = listed([f"{names[key]} {told[key]}" for key in ties])
        sentence = f"No difference is established between {each} {unit}"
    return "; ".join([sentence, *rest]) + "."


def _setup(servers: Mapping[str, ServerSetup]) -> list[str]:
    """What sets the servers apart, of what is known of each of them."""
    lines = {name: one.written.lines for name, one in servers.items()}
    fewest = min(lines.values())
    few = [name for name in lines if lines[name] == fewest]
    sentence = f"{listed(few)} {_verb(few, 'take')} the fewest lines to write, {fewest}"
    more = [f"{name} {count}" for name, count in sorted(lines.items(), key=lambda one: one[1]) if count != fewest]
    sentences = ["; ".join([sentence, *more]) + "."]
    if asking := _with(servers, "auth", supported_is=True):
        sentences.append(f"{_only(asking, servers)} {_verb(asking, 'ask')} for credentials by default.")
    if losing := _with(servers, "graceful_shutdown", supported_is=False):
        sentences.append(f"{_only(losing, servers)} {_verb(losing, 'lose')} requests when told to end.")
    return sentences


def _starts(names: Mapping[str, str], starts: Mapping[str, Estimate]) -> str:
    """Who is up first; starts whose intervals overlap are not told apart."""
    if len(starts) < 2:
        return ""
    first, *others = sorted(starts, key=lambda key: starts[key].value)
    told = {key: f"{names[key]} {supported(starts[key])} s" for key in (first, *others)}
    if any(math.isnan(start.low) for start in starts.values()):
        each = listed(list(told.values()))
        return f"Fewer than {MIN_ROUNDS} starts establish no difference; to the first correct answer: {each}."
    ties = [key for key in others if not starts[key].low > starts[first].high]
    if ties:
        sentence = f"No difference in start is established between {listed([told[key] for key in (first, *ties)])}"
    else:
        sentence = f"{names[first]} is up first, {supported(starts[first])} s from start to the first correct answer"
    return "; ".join([sentence, *(told[key] for key in others if key not in ties)]) + "."


def _with(servers: Mapping[str, ServerSetup], capability: str, *, supported_is: bool) -> list[str]:
    """The servers of which this was found; none where it is not known of every one."""
    answers = {
        name: next((cell.supported for cell in one.capabilities if cell.capability == capability), None)
        for name, one in servers.items()
    }
    return [] if None in answers.values() else [name for name, answer in answers.items() if answer is supported_is]


def _only(names: Sequence[str], servers: Mapping[str, ServerSetup]) -> str:
    return ("Only " if len(names) < len(servers) else "") + listed(names)


def _verb(names: Sequence[str], verb: str) -> str:
    return verb + ("s" if len(names) == 1 else "")
