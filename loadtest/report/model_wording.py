"""What is told of a model, in sentences: what it is, how it learned, what it gets wrong."""

from collections import Counter
from collections.abc import Sequence

from loadtest.servers.model_record import Classified, ModelFacts, ModelRecord, Training

MOST = 4
"""Kinds of mistakes that are named."""


def model_sentences(record: ModelRecord) -> dict[str, str]:
    """Sentences on a model, by what they are about."""
    facts = record.facts
    told = {"What it is": _what_it_is(facts), "How it learned": _how_it_learned(facts.trainings)}
    if facts.classified:
        told["What it gets wrong"] = _what_it_gets_wrong(facts.classified, facts.quality.held_out)
    return told


def _what_it_is(facts: ModelFacts) -> str:
    layers = _listed([f"{one.count} {one.kind}" for one in facts.layers])
    total = sum(one.count for one in facts.layers)
    layers = f" in {total} layers with parameters of their own ({layers})" if layers else ""
    return (
        f"{facts.description} {facts.parameters:,} parameters{layers}. "
        f"On {facts.quality.held_out:,} held-out examples, {facts.quality.name} {facts.quality.value:.4f}."
    )


def _how_it_learned(trainings: Sequence[Training]) -> str:
    if not trainings:
        return "No training of it is recorded."
    first = trainings[0]
    settings = ", ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in first.settings.items())
    told = (
        f"From {first.examples:,} examples in {first.steps:,} steps ({settings}). At the end its loss was "
        f"{first.loss:.3f} in training and {first.held_out_loss:.3f} on held-out examples, its accuracy "
        f"{first.accuracy:.4f} and {first.held_out_accuracy:.4f}."
    )
    if len(trainings) == 1:
        return told
    seeds = _listed([str(one.seed) for one in trainings])
    accuracies = _listed([f"{one.held_out_accuracy:.4f}" for one in trainings])
    return f"{told} What is chance: with the seeds {seeds} the held-out accuracy is {accuracies}."


def _plain(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _what_it_gets_wrong(classified: Classified, examples: int) -> str:
    told = f"{classified.mistakes:,} of {examples:,} held-out examples got another class than their own"
    kinds = Counter((one.right, one.said) for one in classified.hardest if one.right != one.said)
    named = [f"{right} taken for {said}" for (right, said), _ in kinds.most_common(MOST)]
    return f"{told}: {_listed(named)}." if len(kinds) <= MOST and named else _among(told, named)


def _among(told: str, named: Sequence[str]) -> str:
    return f"{told}, among them {_listed(named)}." if named else f"{told}."


def _listed(texts: Sequence[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else "".join(texts)
