"""report.md of a server that was tuned: default and tuned side by side, and what each knob is worth."""

import math
import shlex

from loadtest.judge.intervals import Estimate
from loadtest.judge.tuning_result import CONFIRMATION, SEARCH, Outcome, Trial, Tuning
from loadtest.report.reading import span
from loadtest.report.table import markdown_rows
from loadtest.report.wording import all_words
from loadtest.servers.tuning_space import Configuration, TuningSpace

BEST = 10
"""So many configurations of the search are listed."""


def sentences(tuning: Tuning) -> list[str]:
    """What was found, in sentences."""
    outcome = tuning.outcome
    told = []
    if outcome.better:
        told.append(
            f"{tuning.label}, {tuning.words}: {span(outcome.tuned_rps, 0)} requests/s, {_times(outcome.ratio)} its "
            f"default's {span(outcome.default_rps, 0)}."
        )
    elif outcome.ratio.known:
        told.append(
            f"{tuning.label}: nothing is confirmed to be better than its default. The best that was found has "
            f"{span(outcome.tuned_rps, 0)} requests/s, {_times(outcome.ratio)} the default's "
            f"{span(outcome.default_rps, 0)}; a longer --budget means more rounds and a narrower interval."
        )
    elif any(trial.stage == CONFIRMATION for trial in outcome.trials):
        told.append(f"{tuning.label}: whether anything is better than its default could not be measured.")
    else:
        told.append(
            f"{tuning.label}: nothing better than its default was found ({span(outcome.default_rps, 0)} requests/s)."
        )
    limited = [trial for trial in outcome.trials if trial.limits]
    if limited:
        told.append(
            f"{len(limited)} of {len(outcome.trials)} measurements were limited by the client or the host, and none of "
            f"them counts: {all_words(limited[-1].limits)}."
        )
    if out := _out(outcome):
        told.append(f"{len(out)} configuration{'s were' if len(out) > 1 else ' was'} out, for example: {out[0].out}.")
    return told


def worth_lines(tuning: Tuning) -> list[list[str]]:
    """A row for each knob that is not at its default: name, default, tuned value, and what it is worth."""
    return [
        [one.name, str(one.default), str(one.tuned), f"out: {one.out}" if one.out else _worth(one.ratio)]
        for one in tuning.outcome.worth
    ]


def render(tuning: Tuning, space: TuningSpace) -> str:
    """The text of report.md.

    Args:
        tuning: What was found.
        space: The knobs of the server, for what they do.
    """
    outcome = tuning.outcome
    sections = [
        f"# {tuning.label}, {tuning.words}",
        "\n".join(f"- {sentence}" for sentence in sentences(tuning)),
        "## Default and tuned",
        markdown_rows(
            ["knob", "what it does", "default", "tuned"],
            [
                [knob.name, knob.help, str(outcome.default[knob.name]), str(outcome.tuned[knob.name])]
                for knob in space.knobs
            ],
            text_columns=(0, 1),
        ),
    ]
    if outcome.worth:
        sections += [
            "## What each knob is worth",
            "The best configuration beside itself with one knob put back to its default: the ratio of the capacities "
            "with its 95 % interval, in the same interleaved rounds.",
            markdown_rows(["knob", "default", "best", "worth"], worth_lines(tuning)),
        ]
    best = sorted(_searched(outcome), key=lambda trial: -_or_zero(trial))[:BEST]
    sections += [
        f"## The best {len(best)} of the search",
        "Measured once each, so that their order is in part chance.",
        markdown_rows(
            ["configuration", "requests/s", "peak memory, MiB"],
            [
                [_difference(one.configuration, outcome.default), _rate(one), _number(float(one.peak_mib))]
                for one in best
            ],
        ),
        *_table_of_out(outcome),
        "## How",
        "\n".join(f"- {line}" for line in _method(tuning)),
    ]
    return "\n\n".join(sections) + "\n"


def _out(outcome: Outcome) -> list[Trial]:
    """One trial of each configuration that is out."""
    return list({tuple(trial.configuration.values()): trial for trial in outcome.trials if trial.out}.values())


def _searched(outcome: Outcome) -> list[Trial]:
    return [trial for trial in outcome.trials if trial.stage == SEARCH]


def _table_of_out(outcome: Outcome) -> list[str]:
    rows = [[_difference(one.configuration, outcome.default), one.out] for one in _out(outcome)]
    return ["## Out", markdown_rows(["configuration", "reason"], rows, text_columns=(0, 1))] if rows else []


def _method(tuning: Tuning) -> list[str]:
    outcome = tuning.outcome
    rounds = max((trial.round for trial in outcome.trials if trial.stage == CONFIRMATION), default=0)
    versions = ", ".join(f"{name} {version}" for name, version in tuning.versions.items())
    tried = len({tuple(trial.configuration.items()) for trial in outcome.trials})
    return [
        f"`loadtest {shlex.join(tuning.command)}`, {tuning.started_at}, {tuning.took_s / 60:.0f} minutes.",
        f"{tuning.workload} {tuning.workload_version} over {tuning.wire}, {tuning.batch} in a request, "
        f"{tuning.connections} connections; {tuning.slo} with errors<{tuning.errors:.2%}; "
        f"{tuning.words.partition(' on ')[2]} for the server, {tuning.memory_mib:,.0f} MiB of memory at most.",
        f"{tried} of {outcome.configurations:,} configurations, proposed by: {outcome.proposed_by}; "
        f"{len(outcome.trials)} measurements, {rounds} rounds of confirmation.",
        f"{tuning.host.cpu}, {tuning.host.cores} cores, {tuning.host.system}; {versions}.",
    ]


def _difference(configuration: Configuration, default: Configuration) -> str:
    """The knobs that are not at their default."""
    changed = [f"{name} {value}" for name, value in configuration.items() if value != default[name]]
    return ", ".join(changed) or "the default"


def _rate(trial: Trial) -> str:
    if trial.out:
        return f"out: {trial.out}"
    if math.isnan(trial.capacity_rps):
        return f"— ({all_words(trial.limits)})"
    return f"{'at least ' if trial.limits else ''}{trial.capacity_rps:,.0f}"


def _or_zero(trial: Trial) -> float:
    return 0.0 if math.isnan(trial.capacity_rps) else float(trial.capacity_rps)


def _number(value: float) -> str:
    return "—" if math.isnan(value) else f"{value:,.0f}"


def _times(ratio: Estimate) -> str:
    return f"{span(ratio, 2)} times" if ratio.known else span(ratio, 2)


def _worth(ratio: Estimate) -> str:
    if not ratio.known:
        return "not measured"
    tie = "" if ratio.low > 1 or ratio.high < 1 else ", a tie"
    return _times(ratio) + tie
