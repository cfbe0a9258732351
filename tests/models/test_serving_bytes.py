"""The signature `serving_bytes`: the SavedModel reads the octets of an instance, and nothing else."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from models import savedmodel, serving_bytes
from models.examples import Examples, Forward
from models.read_back import saved_model
from models.tensors import TensorSpec
from models.workload import Workload
from tests.models.tiny import IDS, PAIRS, SEQUENCE, sequence, strings, tiny

VALUES: Mapping[str, list[Any]] = {
    "float32": [0, -1.5, 3.4028235e38, -1.1754944e-38, np.inf, 0.1],
    "float64": [0, -1.5, 1.7976931348623157e308, 5e-324, -np.inf, 0.1],
    "int32": [0, 1, -1, -(2**31), 2**31 - 1, 258],
    "int64": [0, 1, -1, -(2**63), 2**63 - 1, 258],
    "uint8": [0, 1, 127, 128, 254, 255],
    "bool": [False, True, True, False, False, True],
}


def written(folder: Path, workload: Workload, warmup: Examples) -> Forward:
    """Writes a SavedModel and loads its signature."""
    savedmodel.write(workload, {}, warmup, folder)
    return saved_model(folder, workload.inputs, workload.outputs, serving_bytes.SIGNATURE)


@pytest.fixture(scope="module")
def forward(tmp_path_factory: pytest.TempPathFactory) -> Forward:
    """The signature of the model of sequences."""
    return written(tmp_path_factory.mktemp("sequence") / "1", sequence(), SEQUENCE)


def of_lengths(*lengths: int, pairs: int | None = None) -> dict[str, Any]:
    """A request with sequences of ones, and if wanted with other lengths of the pairs."""
    return {
        "ids": strings(*(np.ones(length, "<i8") for length in lengths)),
        "pairs": strings(*(np.ones((pairs or length, 2), "<f4") for length in lengths)),
    }


@pytest.mark.parametrize("shape", [(), (3,), (3, 2)])
@pytest.mark.parametrize("dtype", VALUES)
def test_every_type_is_read(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    """Every value comes out as it went in, little-endian and row-major; one instance, and several."""
    same = tiny(tf.identity, (TensorSpec("x", dtype, shape),), (TensorSpec("y", dtype, shape),))
    arrays = np.array(VALUES[dtype], dtype).reshape(-1, *shape)
    forward = written(tmp_path / "1", same, Examples({"x": arrays}))
    octets = strings(*arrays.astype(arrays.dtype.newbyteorder("<")))
    for some in (slice(1), slice(None)):
        found = forward({"x": octets[some]})["y"]
        assert found.dtype == arrays.dtype
        np.testing.assert_array_equal(found, arrays[some])


def test_the_signature_has_a_string_for_each_input(tmp_path: Path) -> None:
    """Under the names of the inputs; the outputs are those of the other signature."""
    savedmodel.write(sequence(), {}, SEQUENCE, tmp_path / "1")
    signatures = tf.saved_model.load(str(tmp_path / "1")).signatures
    default, octets = (signatures[name] for name in ("serving_default", "serving_bytes"))
    found = {name: (spec.dtype, spec.shape.as_list()) for name, spec in octets.structured_input_signature[1].items()}
    assert found == {"ids": (tf.string, [None]), "pairs": (tf.string, [None])}
    assert octets.structured_outputs == default.structured_outputs


def test_lengths_may_differ(forward: Forward) -> None:
    """The shorter ones are filled up to the longest with the padding of each input, and no sum changes."""
    found = forward(of_lengths(2, 9, 5))
    assert found["total"].tolist() == [4, 18, 10]
    assert found["filled"].tolist() == [7, 0, 4]


def test_examples_are_encoded_at_their_own_length(forward: Forward) -> None:
    """Without the padding that fills them up in an array."""
    octets = serving_bytes.encoded(SEQUENCE, (IDS, PAIRS))
    assert [len(one) for one in octets["ids"]] == [24, 16]
    assert forward(octets)["total"].tolist() == [12, 18]
    big = TensorSpec("x", "int32", ())
    assert serving_bytes.encoded(Examples({"x": np.array([1], ">i4")}), [big])["x"].tolist() == [b"\1\0\0\0"]


def test_no_instance_is_an_empty_answer(forward: Forward) -> None:
    """As in every other batch, only smaller."""
    none = np.array([], np.object_)
    assert {name: array.shape for name, array in forward({"ids": none, "pairs": none}).items()} == {
        "total": (0,),
        "filled": (0,),
    }


OF_IDS = "ids must have 16 to 72 bytes, a multiple of 8, in each instance"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (of_lengths(2) | {"ids": np.array([b"\0" * 17], np.object_)}, OF_IDS),
        (of_lengths(2) | {"ids": np.array([b"\0" * 15], np.object_)}, OF_IDS),
        (of_lengths(2) | {"ids": np.array([b""], np.object_)}, OF_IDS),
        (of_lengths(2, 3) | {"ids": np.array([b"\0" * 16, b""], np.object_)}, OF_IDS),
        (of_lengths(1), OF_IDS),
        (of_lengths(3, 10), OF_IDS),
        (of_lengths(2) | {"pairs": strings(np.ones(5, "<f4"))}, "pairs must have 16 to 72 bytes, a multiple of 8"),
        (of_lengths(5, pairs=4), "ids and pairs must have the same length in each instance"),
        (of_lengths(5, 4, pairs=5), "ids and pairs must have the same length in each instance"),
        (of_lengths(2) | {"ids": strings(np.array([1, 100], "<i8"))}, "ids holds a value out of range"),
        (of_lengths(2) | {"ids": strings(np.array([1, 2], ">i8"))}, "ids holds a value out of range"),
    ],
)
def test_what_is_no_instance_is_refused(forward: Forward, inputs: Any, message: str) -> None:
    """Nothing is cut, filled up or guessed; the message says what is wanted."""
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        forward(inputs)


@pytest.mark.parametrize("size", [0, 4, 7, 9, 16])
def test_an_instance_of_fixed_shape_has_one_size(tmp_path: Path, size: int) -> None:
    """Also where one string among several is wrong."""
    same = tiny(tf.identity, (TensorSpec("x", "float32", (2,)),), (TensorSpec("y", "float32", (2,)),))
    forward = written(tmp_path / "1", same, Examples({"x": np.ones((1, 2), np.float32)}))
    for octets in ([b"\0" * size], [b"\0" * 8, b"\0" * size]):
        with pytest.raises(tf.errors.InvalidArgumentError, match="x must have 8 bytes in each instance"):
            forward({"x": np.array(octets, np.object_)})


@pytest.mark.parametrize(
    ("spec", "examples"),
    [
        (TensorSpec("x", "string", ()), Examples({"x": np.array(["a"])})),
        (
            TensorSpec("x", "float32", (2, None), lengths=(1, 4)),
            Examples({"x": np.ones((1, 2, 3), np.float32)}, lengths=np.array([3])),
        ),
    ],
)
def test_not_every_model_has_it(tmp_path: Path, spec: TensorSpec, examples: Examples) -> None:
    """Text has no octets of a known size; rows that vary in length cannot be filled up at the end of an instance."""

    def zero(x: Any) -> Any:
        return tf.zeros(tf.shape(x)[:1], tf.int64)

    workload = tiny(zero, (spec,), (TensorSpec("y", "int64", ()),))
    assert not serving_bytes.offered(workload.inputs)
    savedmodel.write(workload, {}, examples, tmp_path / "1")
    assert set(tf.saved_model.load(str(tmp_path / "1")).signatures) == {"serving_default"}
