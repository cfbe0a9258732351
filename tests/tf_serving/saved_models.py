"""Small SavedModels, each made to show one thing about the server that runs it."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from models import savedmodel
from tests.models import tiny
from tf_serving.embedded.version_integrity import SCHEMA_VERSION


def _spec(shape: list[int | None] | None, dtype: Any, name: str) -> Any:
    return tf.TensorSpec(shape, dtype, name=name)


def _function(*specs: Any) -> Callable[[Callable[..., Any]], Any]:
    """tf.function with an input signature, typed."""
    decorate: Callable[[Callable[..., Any]], Any] = tf.function(input_signature=specs)
    return decorate


def save(base: Path, version: int, signatures: dict[str, Any]) -> Path:
    """Writes one version under a model's base path by renaming a finished folder, as an operator should."""
    hidden = base.parent / f".{base.name}-{version}"
    tf.saved_model.save(tf.Module(), str(hidden), signatures=signatures)
    base.mkdir(parents=True, exist_ok=True)
    return hidden.rename(base / str(version))


def scale(base: Path, version: int, factor: float) -> Path:
    """X (n, 2) -> y = factor * x; which version answered shows in the answer."""

    @_function(_spec([None, 2], tf.float32, "x"))
    def serve(x: Any) -> Any:
        return {"y": x * factor}

    @_function(_spec([None, 2], tf.float32, "x"))
    def negate(x: Any) -> Any:
        return {"y": -x}

    return save(base, version, {"serving_default": serve, "negate": negate})


def wide(base: Path, version: int = 1) -> Path:
    """X (n, 2) -> y (n) = sum of x, by way of an array of 4,096 floats a row."""

    @_function(_spec([None, 2], tf.float32, "x"))
    def serve(x: Any) -> Any:
        return {"y": tf.reduce_mean(tf.nn.relu(tf.matmul(x, tf.ones([2, 4096]))), axis=1)}

    return save(base, version, {"serving_default": serve})


def write_manifest(base: Path, version: int, **more: Any) -> Path:
    """Lists the files of a version in a manifest beside the base path, as `python -m models build` does."""
    folder = base / str(version)
    files = {
        path.relative_to(base.parent).as_posix(): {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    manifest = base.parent / "manifest.json"
    manifest.write_text(json.dumps({"schema_version": SCHEMA_VERSION, "files": files, **more}))
    return manifest


def named(base: Path) -> Path:
    """A (n) float and b (n, 2) int32 -> total (n) float, doubled (n, 2) int64 and positive (n) bool."""

    @_function(_spec([None], tf.float32, "a"), _spec([None, 2], tf.int32, "b"))
    def serve(a: Any, b: Any) -> Any:
        total = a + tf.cast(tf.reduce_sum(b, axis=1), tf.float32)
        return {"total": total, "doubled": tf.cast(b, tf.int64) * 2, "positive": total > 0}

    return save(base, 1, {"serving_default": serve})


def text(base: Path) -> Path:
    """Strings: their length in bytes, and themselves with "!" as text and as bytes."""

    @_function(_spec([None], tf.string, "s"))
    def serve(s: Any) -> Any:
        return {"length": tf.strings.length(s), "shout_bytes": s + "!"}

    @_function(_spec([None], tf.string, "s"))
    def plain(s: Any) -> Any:
        return {"shout": s + "!"}

    return save(base, 1, {"serving_default": serve, "plain": plain})


def numbers(base: Path) -> Path:
    """One signature per type that returns its input; `divide` is x / 0; `total` has no batch dimension."""
    types = [tf.int8, tf.uint8, tf.int16, tf.int32, tf.uint32, tf.int64, tf.uint64, tf.bool, tf.float32, tf.float64]
    signatures: dict[str, Any] = {}
    for dtype in (*types, tf.float16):

        @_function(_spec(None, dtype, "x"))  # of any rank
        def same(x: Any) -> Any:
            return {"y": tf.identity(x)}

        signatures[dtype.name] = same

    @_function(_spec([None], tf.float32, "x"))
    def divide(x: Any) -> Any:
        return {"y": x / 0.0}

    @_function(_spec([None], tf.float32, "x"))
    def total(x: Any) -> Any:
        return {"y": tf.reduce_sum(x)}

    return save(base, 1, {**signatures, "divide": divide, "total": total})


def batch(base: Path) -> Path:
    """X (n, k) -> rows (n): how many rows ran together; fails if any x is negative."""

    @_function(_spec([None, None], tf.float32, "x"))
    def serve(x: Any) -> Any:
        with tf.control_dependencies([tf.debugging.assert_non_negative(x, "negative")]):
            rows = tf.shape(x)[0]
        return {"rows": tf.fill([rows], rows), "first": x[:, 0]}

    return save(base, 1, {"serving_default": serve})


def sequence(base: Path) -> None:
    """Sequences of ids and pairs, with the signature `serving_bytes`, as `python -m models build` writes it."""
    savedmodel.write(tiny.sequence(), {}, tiny.SEQUENCE, base / "1")


def gate(base: Path, version: int = 1) -> Path:
    """Creates the file `started`, then runs until there is a file `opened`; answers with its version."""

    @_function(_spec([None], tf.string, "started"), _spec([None], tf.string, "opened"))
    def serve(started: Any, opened: Any) -> Any:
        for path in started:
            tf.io.write_file(path, "")
        turns = tf.constant(0)
        # The pattern names the turn (to no effect) so that the look-up is not moved out of the loop.
        while tf.size(tf.io.matching_files(opened + tf.strings.substr(tf.strings.as_string(turns), 0, 0))) == 0:
            turns += 1
        return {"version": tf.zeros_like(tf.strings.length(started)) + version + 0 * turns}

    return save(base, version, {"serving_default": serve})


def add_warmup(version: Path, name: str, rows: list[list[float]]) -> None:
    """Gives a version one warm-up request for its input x."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(rows, dtype=tf.float32))
    log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
    folder = version / "assets.extra"
    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "tf_serving_warmup_requests")) as writer:
        writer.write(log.SerializeToString())


def break_version(base: Path, version: int) -> None:
    """Adds a version that holds no SavedModel."""
    hidden = base.parent / f".{base.name}-{version}"
    hidden.mkdir(parents=True)
    base.mkdir(exist_ok=True)
    (hidden / "saved_model.pb").write_bytes(b"not a protocol buffer")
    hidden.rename(base / str(version))
