"""What a model is, how it learned and what it gets wrong, in numbers: figures/model.json, which needs no framework."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from models.recording.evaluation import Classified
from models.recording.figures.hardest import MOST
from models.recording.figures.learning import training
from models.recording.history import History
from models.recording.record import Record

if TYPE_CHECKING:
    from torch import nn

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Picture:
    """A picture beside the file.

    Attributes:
        file: Its name.
        title: What it shows.
    """

    file: str
    title: str


def of(record: Record, pictures: Sequence[Picture]) -> dict[str, Any]:
    """The contents of model.json: plain values, each with the name that it has there."""
    workload, classified = record.workload, record.evaluation.classified
    module = record.network()
    return {
        "schema_version": SCHEMA_VERSION,
        "workload": workload.name,
        "version": workload.version,
        "description": workload.description,
        "parameters": sum(value.size for value in record.weights.values()),
        "layers": list(_layers(module)),
        "quality": {"name": workload.quality.name, "value": record.quality, "held_out": record.evaluation.size},
        "seed": workload.seed,
        "trainings": [{"seed": seed, **_training(history)} for seed, history in record.trainings.items()],
        "classified": _classified(classified) if classified else None,
        "pictures": [asdict(picture) for picture in pictures],
    }


def _layers(module: "nn.Module") -> Iterable[dict[str, Any]]:
    """Each kind of layer that has parameters of its own, with how many there are; the module itself is none."""
    kinds: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for one in module.modules():
        own = sum(parameter.numel() for parameter in one.parameters(recurse=False))
        if own and one is not module:
            kinds[type(one).__name__] += 1
            sizes[type(one).__name__] += own
    return ({"kind": kind, "count": count, "parameters": sizes[kind]} for kind, count in kinds.items())


def _training(history: History) -> dict[str, Any]:
    last = history.epochs[-1]
    return {
        "settings": dict(history.settings),
        "examples": history.examples,
        "steps": len(history.steps),
        "loss": float(training(history, "loss")[1][-1]),
        "accuracy": float(training(history, "accuracy")[1][-1]),
        "held_out_loss": last.loss,
        "held_out_accuracy": last.accuracy,
    }


def _classified(classified: Classified) -> dict[str, Any]:
    counts = classified.confusion
    said, right = classified.said, classified.right
    return {
        "mistakes": classified.mistakes,
        "classes": [classified.labels[one] for one in classified.present],
        "confusion": None if counts is None else counts.tolist(),
        "hardest": [
            {
                "example": int(row),
                "said": classified.labels[said[row]],
                "score": float(classified.scores[row, said[row]]),
                "right": classified.labels[right[row]],
                "score_of_right": float(classified.scores[row, right[row]]),
            }
            for row in classified.hardest(MOST)
        ],
    }
