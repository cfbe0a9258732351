"""A record for TensorBoard, as a user of TensorFlow writes it: through `tf.summary` and TensorBoard's plugins."""

import math
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorboard.plugins import projector
from tensorboard.plugins.hparams import api as hparams

from models.recording.evaluation import Evaluation
from models.recording.history import History
from models.recording.record import Record


def write(record: Record, folder: Path) -> None:
    """Write a record: a run of the model, and below it for each seed one with the runs `training` and `held_out`.

    Args:
        record: What was recorded.
        folder: Of the run of the model, created.
    """
    with tf.summary.create_file_writer(str(folder)).as_default(step=0):
        _model(record, folder)
    for seed, history in record.trainings.items():
        _training(history, folder / f"seed-{seed}", snapshots=seed == record.workload.seed)
        with tf.summary.create_file_writer(str(folder / f"seed-{seed}")).as_default(step=0):
            hparams.hparams({"seed": seed, **history.settings}, trial_id=f"tensorflow/seed-{seed}")
            tf.summary.scalar("final/accuracy", history.epochs[-1].accuracy)
            tf.summary.scalar("final/loss", history.epochs[-1].loss)


def _training(history: History, folder: Path, *, snapshots: bool) -> None:
    with tf.summary.create_file_writer(str(folder / "training")).as_default():
        for number, step in enumerate(history.steps, start=1):
            tf.summary.scalar("loss", step.loss, number)
            tf.summary.scalar("accuracy", step.accuracy, number)
            tf.summary.scalar("learning_rate", step.learning_rate, number)
        for epoch in history.snapshots if snapshots else ():
            for name, values in epoch.weights.items():
                tf.summary.histogram(f"weights/{name}", values, epoch.step)
            for name, values in epoch.gradients.items():
                tf.summary.histogram(f"gradients/{name}", values, epoch.step)
    with tf.summary.create_file_writer(str(folder / "held_out")).as_default():
        for epoch in history.epochs:
            tf.summary.scalar("loss", epoch.loss, epoch.step)
            tf.summary.scalar("accuracy", epoch.accuracy, epoch.step)


def _model(record: Record, folder: Path) -> None:
    tf.summary.scalar(f"quality/{record.workload.quality.name.replace(' ', '_')}", record.quality)
    inputs = [tf.constant(record.example[spec.name]) for spec in record.workload.inputs]
    twin = record.twin()
    tf.summary.graph(tf.function(lambda *tensors: twin(*tensors)).get_concrete_function(*inputs).graph)
    for name, pixels in record.images.items():
        tf.summary.image(name, pixels[None])
    _embedding(record.evaluation, folder)


def _embedding(seen: Evaluation, folder: Path) -> None:
    if seen.embedding is None:
        return
    # Not as a checkpoint: the projector would take that for one of each run below this one as well.
    np.savetxt(folder / "tensors.tsv", seen.embedding, fmt="%.9g", delimiter="\t")
    config = projector.ProjectorConfig()
    found = config.embeddings.add()
    found.tensor_name = "held_out"
    found.tensor_path = "tensors.tsv"
    (folder / "metadata.tsv").write_text("\n".join(seen.titles) + "\n", encoding="utf-8")
    found.metadata_path = "metadata.tsv"
    if seen.thumbnails is not None:
        size, height, width, _ = seen.thumbnails.shape
        side = math.ceil(math.sqrt(size))
        tiles = np.zeros((side * side, height, width, 3), np.uint8)
        tiles[:size] = seen.thumbnails
        sheet = tiles.reshape(side, side, height, width, 3).swapaxes(1, 2).reshape(side * height, side * width, 3)
        tf.io.write_file(str(folder / "sprite.png"), tf.io.encode_png(sheet))
        found.sprite.image_path = "sprite.png"
        found.sprite.single_image_dim.extend([width, height])
    projector.visualize_embeddings(str(folder), config)
