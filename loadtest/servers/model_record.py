"""What an artifact tells of its model: what it is, how it learned, what it gets wrong, with pictures.

`python -m models build` leaves it in the artifact's ``figures``, and ``docs/see-the-model.md`` says what it holds. A
comparison keeps a copy, so that its report can be written again without the artifact.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtest.errors import UsageError
from loadtest.machine.files import write_whole
from loadtest.records import from_json
from loadtest.servers.told_of_models import told_of_models

FIGURES = "figures"
"""Folder of an artifact."""
MODEL = "model"
"""Folder of a result: in it one folder for each model, by its name."""
FACTS = "model.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Layers:
    """Layers of one kind: how many, and how many parameters they have together."""

    kind: str
    count: int
    parameters: int


@dataclass(frozen=True)
class MeasuredQuality:
    """The figure that says how good the model is, on so many held-out examples."""

    name: str
    value: float
    held_out: int


@dataclass(frozen=True)
class Training:
    """A training, and where it ended.

    Attributes:
        seed: Of everything random in it.
        settings: What was chosen before it, by name.
        examples: How many it learned from.
        steps: Of the optimiser.
        loss: Mean over the steps of the last epoch; likewise `accuracy`.
        accuracy: 0 to 1.
        held_out_loss: Of the trained model on the held-out examples; likewise `held_out_accuracy`.
        held_out_accuracy: 0 to 1.
    """

    seed: int
    settings: dict[str, float | str]
    examples: int
    steps: int
    loss: float
    accuracy: float
    held_out_loss: float
    held_out_accuracy: float


@dataclass(frozen=True)
class Answered:
    """A held-out example: the class that was said with its score, and the right one."""

    said: str
    score: float
    right: str


@dataclass(frozen=True)
class Classified:
    """How a classifier answered: the number of its mistakes, and the examples that were hardest, worst first."""

    mistakes: int
    hardest: list[Answered]


@dataclass(frozen=True)
class Picture:
    """File and title of a picture."""

    file: str
    title: str


@dataclass(frozen=True)
class ModelFacts:
    """Contents of model.json, as far as a report tells them.

    Attributes:
        schema_version: Of the file.
        workload: Name of the model.
        version: Of the model.
        description: What it predicts.
        parameters: How many numbers were learned.
        layers: By kind, in the order of the network.
        quality: How good it is.
        trainings: The one that made it, then those of further seeds; empty where none was recorded.
        classified: Of a classifier; None of any other model.
        pictures: In the order in which they are shown.
    """

    schema_version: int
    workload: str
    version: int
    description: str
    parameters: int
    layers: list[Layers]
    quality: MeasuredQuality
    trainings: list[Training]
    classified: Classified | None
    pictures: list[Picture]


@dataclass(frozen=True)
class ModelRecord:
    """What is told of a model.

    Attributes:
        facts: In numbers.
        source: Text of model.json.
        drawn: The SVG of each picture, by the name of its file.
    """

    facts: ModelFacts
    source: str
    drawn: Mapping[str, str] = field(default_factory=dict)

    @property
    def version(self) -> int:
        """Of the model."""
        return self.facts.version


def read_model(folder: Path) -> ModelRecord | None:
    """Read what a folder tells of a model; None where it has no model.json.

    Raises:
        UsageError: If it cannot be read, is of another schema, or a picture is missing.
    """
    path = folder / FACTS
    if not path.is_file():
        return None
    try:
        source = path.read_text(encoding="utf-8")
        facts = from_json(source.encode(), ModelFacts, str(path))
        if facts.schema_version != SCHEMA_VERSION:
            raise UsageError(f"{path} has schema {facts.schema_version}; this release reads {SCHEMA_VERSION}")
        names = [one.file for one in facts.pictures]
        if foreign := [name for name in names if Path(name).name != name or not name.endswith(".svg")]:
            raise UsageError(f"{path} names {foreign[0]!r}, which is no picture beside it")
        drawn = {name: (folder / name).read_text(encoding="utf-8") for name in names}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"what {folder} tells of the model cannot be read: {error}") from error
    return ModelRecord(facts, source, drawn)


def write_model(record: ModelRecord, result: Path) -> None:
    """Write it into the folder of a result.

    Raises:
        UsageError: If it cannot be written.
    """
    folder = result / MODEL / record.facts.workload
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}") from error
    for name, text in {FACTS: record.source, **record.drawn}.items():
        write_whole(folder / name, text)


def read_models(result: Path, versions: Mapping[str, Any]) -> tuple[dict[str, ModelRecord], list[str]]:
    """Read what the folder of a result tells of its models.

    Args:
        result: The folder.
        versions: Of each model that was measured, by its name; another version of it is none of them.

    Returns:
        What is told, by the names of the models, and what a reader must know of what could not be read.
    """
    return told_of_models(versions, lambda name: read_model(result / MODEL / name), "the model")
