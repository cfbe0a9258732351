"""Writes what is recorded of a model into its artifact: board/ for TensorBoard, figures/ for everybody."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.recording import facts, record
from models.recording.facts import Picture
from models.recording.figures import confusion, hardest, learning, style, vector_map
from models.recording.record import Record
from models.tensors import Tensors
from models.workload import Trained, Weights, Workload

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BOARD = "board"
FIGURES = "figures"
FACTS = "model.json"
FRAMEWORKS = ("torch", "tensorflow")
"""Whose ways the record is written in, as folders of `BOARD`."""
SEEDS = 3
"""Trainings that are recorded, unless told otherwise; that of the artifact is the first one."""

TITLES = {
    "learning": "How it learned",
    "confusion": "What it takes for what",
    "hardest": "The hardest held-out examples: what it said, with its score, and what is right",
    "vector_map": "Held-out examples as the model sees them",
}


def write(
    workload: Workload,
    weights: Weights,
    trained: Trained,
    outputs: Tensors,
    artifact: Path,
    *,
    seeds: int = SEEDS,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Record a model in its artifact.

    Args:
        workload: The model.
        weights: As they are stored.
        trained: What its training returned.
        outputs: The answers of the reference to the held-out examples.
        artifact: Its folder.
        seeds: How many trainings are recorded, where it is trained.
        say: Receives a line for each stage, at its end.
    """
    trainings = record.trainings(workload, trained, seeds)
    if len(trainings) > 1:
        accuracies = ", ".join(f"{one.epochs[-1].accuracy:.4f}" for one in trainings.values())
        say(f"trained again with {len(trainings) - 1} more seeds, accuracy {accuracies}")
    found = Record(
        workload,
        weights,
        workload.quality.measure(outputs, trained.held_out),
        trainings,
        trained.golden.repeated(0, workload.inputs),
        record.evaluate(workload, weights, trained, outputs),
        {},
    )
    images = _write_figures(found, artifact / FIGURES)
    say("drew the figures")
    _write_boards(replace(found, images=images), artifact / BOARD)
    say("recorded it for TensorBoard")


def _write_figures(found: Record, folder: Path) -> Mapping[str, NDArray[np.uint8]]:
    """Write each figure that there is, and the numbers behind them; returns those that TensorBoard shows too."""
    folder.mkdir()
    seen = found.evaluation
    drawn: dict[str, Figure | None] = {}
    with style.styled():
        drawn["learning"] = learning.draw(found.trainings) if found.trainings else None
        drawn["confusion"] = confusion.draw(seen.classified) if seen.classified else None
        drawn["hardest"] = hardest.draw(seen)
        drawn["vector_map"] = vector_map.draw(seen)
        there = {name: figure for name, figure in drawn.items() if figure}
        for name, figure in there.items():
            (folder / f"{name}.svg").write_text(style.svg(figure), encoding="utf-8")
        images = {f"held_out/{name}": style.pixels(there[name]) for name in ("confusion", "hardest") if name in there}
    numbers = facts.of(found, [Picture(f"{name}.svg", TITLES[name]) for name in there])
    (folder / FACTS).write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    return images


def _write_boards(found: Record, folder: Path) -> None:
    # Each brings its framework, and no other module of this package needs both.
    from models.recording import tensorflow_board, torch_board

    for framework, writer in zip(FRAMEWORKS, (torch_board, tensorflow_board), strict=True):
        writer.write(found, folder / framework)
    _name_alike(folder)


def _name_alike(folder: Path) -> None:
    """Give the files of events names without the host, the process and the time that the writers put into them."""
    for place in {path.parent for path in folder.rglob("*tfevents*")}:
        for number, path in enumerate(sorted(place.glob("*tfevents*"))):
            path.rename(place / f"events.out.tfevents.{number}")
