"""A record for TensorBoard, as a user of PyTorch writes it: through `torch.utils.tensorboard`."""

import io
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import torch
from torch.utils.tensorboard import SummaryWriter

from models.recording.history import History
from models.recording.record import Record


def write(record: Record, folder: Path) -> None:
    """Write a record: a run of the model, and below it for each seed one with the runs `training` and `held_out`.

    Args:
        record: What was recorded.
        folder: Of the run of the model, created.
    """
    with SummaryWriter(str(folder)) as writer:
        _model(record, writer)
        for seed, history in record.trainings.items():
            _training(history, folder / f"seed-{seed}", snapshots=seed == record.workload.seed)
            final = {"final/accuracy": history.epochs[-1].accuracy, "final/loss": history.epochs[-1].loss}
            writer.add_hparams({"seed": seed, **history.settings}, final, run_name=f"seed-{seed}")


def _training(history: History, folder: Path, *, snapshots: bool) -> None:
    with SummaryWriter(str(folder / "training")) as writer:
        for number, step in enumerate(history.steps, start=1):
            writer.add_scalar("loss", step.loss, number)
            writer.add_scalar("accuracy", step.accuracy, number)
            writer.add_scalar("learning_rate", step.learning_rate, number)
        for epoch in history.snapshots if snapshots else ():
            for name, values in epoch.weights.items():
                writer.add_histogram(f"weights/{name}", values, epoch.step, bins="auto")
            for name, values in epoch.gradients.items():
                writer.add_histogram(f"gradients/{name}", values, epoch.step, bins="auto")
    with SummaryWriter(str(folder / "held_out")) as writer:
        for epoch in history.epochs:
            writer.add_scalar("loss", epoch.loss, epoch.step)
            writer.add_scalar("accuracy", epoch.accuracy, epoch.step)


def _model(record: Record, writer: SummaryWriter) -> None:
    writer.add_scalar(f"quality/{record.workload.quality.name.replace(' ', '_')}", record.quality, 0)
    _graph(record, writer)
    for name, pixels in record.images.items():
        writer.add_image(name, pixels, 0, dataformats="HWC")
    seen = record.evaluation
    if seen.embedding is not None:
        pictures = None if seen.thumbnails is None else torch.from_numpy(seen.thumbnails).permute(0, 3, 1, 2) / 255
        writer.add_embedding(torch.from_numpy(seen.embedding), seen.titles, pictures, 0, tag="held_out")


def _graph(record: Record, writer: SummaryWriter) -> None:
    """The graph as it is traced; a network that cannot be traced is served all the same, so that is only told."""
    try:
        inputs = tuple(torch.from_numpy(record.example[spec.name]) for spec in record.workload.inputs)
        with redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
            writer.add_graph(record.network(), inputs)
    except Exception as error:  # tracing runs the workload's own code, which may raise anything
        writer.add_text("graph", f"The network cannot be traced: {' '.join(str(error).split())}", 0)
