"""The answer in two sentences, and how much of the comparison can be believed.

A server is only called faster than another where the interval of their ratio does not span 1; everything else is a
tie, and with fewer than three rounds nothing is established at all.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadtest.judge.capacity_estimate import less_than
from loadtest.judge.capacity_result import Capacity
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.intervals import NOT_KNOWN, Estimate
from loadtest.judge.server_result import ServerResult
from loadtest.judge.stopping import Until
from loadtest.report.forms import by_form
from loadtest.report.reading import failed_share, span
from loadtest.report.wording import all_words, words
from loadtest.servers.server_folder import DEFAULT_WIRE

ESTABLISHED = 3
"""Rounds from which on there are intervals."""


@dataclass(frozen=True)
class Validity:
    """How many runs of a server judged themselves valid.

    Attributes:
        key: Server key.
        label: What tables call it.
        valid: Valid runs.
        total: All runs of its rounds.
        reasons: Every invalid run with its reasons, one line each.
        parity: What the parity gate found, in one line.
        faults: Why it is not measured, or not completely.
    """

    key: str
    label: str
    valid: int
    total: int
    reasons: list[str]
    parity: str
    faults: list[str]


def answer(result: ComparisonResult) -> list[str]:
    """Two sentences: who is fastest at the common rate, and who carries most; two more for tuned servers."""
    return [f"{form}{tell(part)}" for form, part in by_form(result) for tell in (_latency, _throughput)]


def conditions(result: ComparisonResult) -> str:
    """Under which conditions the answer holds, in one sentence."""
    plan, workload, host = result.plan, result.workload, result.host
    rounds = "1 round" if plan.rounds == 1 else f"{plan.rounds} rounds"
    batch = "one instance" if plan.batch == 1 else f"{plan.batch} instances"
    rate = plan.common_rate_rps
    arrivals = f"Poisson arrivals at {rate:,.0f} requests/s" if rate > 0 else "no common rate was found"
    plural = "s" if len(result.wires) > 1 else ""
    over = f"wire format{plural} {listed(result.wires)}, " if result.wires != [DEFAULT_WIRE] else ""
    placement = result.placement
    cores = (
        f"{_cores(placement.server)} for the server and {_cores(placement.client)} for the client"
        if placement.server and placement.client
        else f"server and client sharing {host.cores} cores"
    )
    until = ""
    if result.until_reached is not None:
        reached = "" if result.until_reached else f", which was not reached within {plan.within_s / 60:g} minutes"
        until = f" until {Until.parse(plan.until)}{reached}"
    return (
        f"{workload.name} v{workload.version}, {batch} a request, {over}{arrivals} over {plan.connections} "
        f"connections, {rounds} of {plan.duration_s:g} s{until}, launcher "
        f"{result.launcher.get('launcher', 'unknown')}, {cores} of {host.cpu}, method {result.method}"
    )


def why_apart(result: ComparisonResult) -> str:
    """Why servers that were asked with pictures are compared among themselves only; nothing for those with tensors."""
    if not result.plan.pictures:
        return ""
    return (
        "Encoded pictures, in a group of their own: the servers decode them, which no tensor asks for, and the "
        "model sees other inputs: PNG rounds each to 8 bits, and JPEG alters it. No ratio is formed with tensors."
    )


def _cores(cores: Sequence[int]) -> str:
    return "one core" if len(cores) == 1 else f"{len(cores)} cores"


def validity(result: ComparisonResult) -> list[Validity]:
    """One per server."""
    labels = result.names
    found = []
    for server in result.servers:
        verdicts = [(name, run.verdict) for name, run in server.runs]
        reasons = [f"{name}: {all_words(verdict.reasons)}" for name, verdict in verdicts if not verdict.valid]
        found.append(
            Validity(
                server.key,
                labels[server.key],
                len(verdicts) - len(reasons),
                len(verdicts),
                reasons,
                parity_line(server),
                [words(fault) for fault in server.faults],
            )
        )
    return found


def parity_line(server: ServerResult) -> str:
    """What the parity gate found."""
    parity = server.parity
    if parity is None:
        return "answers not checked: it did not start"
    worst = f"largest difference {parity.worst:.1e}" if math.isfinite(parity.worst) else "no comparable answer"
    counted = f"{parity.checked} predictions, {worst}, allowed {parity.tolerance:g}"
    return f"answers DISAGREE: {parity.faults[0]}; {counted}" if parity.faults else f"answers agree; {counted}"


def _latency(result: ComparisonResult) -> str:
    rate = result.plan.common_rate_rps
    values = {row.key: row.p99_ms for row in result.summary}
    text = _ranking(result, values, "p99", lambda value: span(value, 2, " ms"), smallest=True)
    if text is None:
        return "No server gave a p99 at the common rate that can be believed: every such run is invalid or too short."
    at = f"At {rate:,.0f} requests/s" if rate > 0 else "At the common rate"
    return f"{at}, {text}."


def _throughput(result: ComparisonResult) -> str:
    found = {server.key: server.capacity for server in result.servers if server.capacity}
    if found:
        return _capacity(result, found)
    values = {row.key: row.ceiling_rps for row in result.summary}
    text = _ranking(result, values, "ceiling", lambda value: span(value, 0, " requests/s"), smallest=False)
    if text is None:
        return "No server's ceiling is known: every closed-loop run is invalid."
    return f"In a closed loop, {text}."


def _capacity(result: ComparisonResult, found: dict[str, Capacity]) -> str:
    """Two servers are a tie where the interval of the ratio of their capacities spans 1."""
    labels = result.names
    values = {key: capacity.estimate_rps for key, capacity in found.items()}
    order = sorted((key for key, value in values.items() if value.known), key=lambda key: -values[key].value)
    objective = next(iter(found.values())).objective
    if not order or not values[order[0]].value:
        return f"No server met {objective} at any rate that was tried."
    best_key = order[0]
    ties = [key for key in order if key == best_key or not less_than(found[key], found[best_key])]
    rest = [key for key in order if key not in ties]

    def told(key: str) -> str:
        at_least = "at least " if found[key].bounded_by_client else ""
        return f"{labels[key]} ({at_least}{span(values[key], 0, ' requests/s')})"

    if len(order) == 1:
        text = f"Under {objective}, a capacity is known of {told(best_key)} only"
    elif len(ties) == 1:
        text = f"Under {objective}, {told(best_key)} carries most"
    else:
        text = f"Under {objective}, {listed([told(key) for key in ties])} are a tie for the highest capacity"
    if rest:
        text += f", before {listed([told(key) for key in rest])}"
    missing = [labels[server.key] for server in result.servers if server.key not in values]
    return text + (f"; none is known of {listed(missing)}." if missing else ".")


def _ranking(
    result: ComparisonResult,
    values: dict[str, Estimate],
    measure: str,
    text: Callable[[Estimate], str],
    *,
    smallest: bool,
) -> str | None:
    """The best server, those tied with it, and by how much the others are behind it."""
    labels = result.names
    title = "highest ceiling" if measure == "ceiling" else f"lowest {measure}"
    order = sorted((key for key in values if values[key].known), key=lambda key: values[key].value)
    order = order if smallest else order[::-1]
    if not order:
        return None
    failing = [labels[key] for key in order if values[key].value == math.inf]
    order = [key for key in order if values[key].value < math.inf]
    unranked = (
        f"; not ranked, since more than {failed_share(measure)} of the requests failed: {listed(failing)}"
        if failing
        else ""
    )
    if not order:
        return f"no server has a {measure}{unranked}"
    first, others = order[0], order[1:]
    if not others:
        return f"{labels[first]} alone was measured: {measure} {text(values[first])}{unranked}"
    if result.plan.rounds < ESTABLISHED:
        each = listed([f"{labels[key]} {text(values[key])}" for key in order])
        return f"no difference is established by fewer than {ESTABLISHED} rounds; {measure}: {each}{unranked}"
    ratios = {key: ratio_of(result, key, first, measure) for key in others}
    ties = [key for key in others if not differs(ratios[key])]
    behind = [key for key in others if key not in ties]
    if ties:
        sentence = listed([f"{labels[key]} ({text(values[key])})" for key in [first, *ties]])
        sentence += f" are a tie for the {title}"
    else:
        sentence = f"{labels[first]} has the {title}, {text(values[first])}"
    if behind:
        sentence += "; " + listed([f"{labels[key]} has {span(ratios[key], 2, ' times that')}" for key in behind])
    return sentence + unranked


def ratio_of(result: ComparisonResult, key: str, first: str, measure: str) -> Estimate:
    """A server's measure over that of the first one."""
    for versus in result.ratios:
        if versus.measure != measure:
            continue
        ratio = versus.ratio
        if (versus.one, versus.two) == (key, first):
            return ratio
        if (versus.one, versus.two) == (first, key):
            return Estimate(*(1 / end if end else math.inf for end in (ratio.value, ratio.high, ratio.low)))
    return NOT_KNOWN


def differs(ratio: Estimate) -> bool:
    """Whether a ratio is known to be other than 1."""
    return ratio.low > 1 or ratio.high < 1


def listed(parts: Sequence[str]) -> str:
    """``a, b and c``."""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
