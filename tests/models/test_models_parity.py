"""Parity: a wrong export is caught and the fault is located."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from models import digits, export_parity, savedmodel, serving_bytes
from models.artifact_manifest import read
from models.errors import ExportError, ExportParityError
from models.examples import Examples
from models.tensors import TensorSpec

LABELS = ("a", "b", "c")
SPEC = TensorSpec("scores", "float32", (3,))
EXPECTED = np.array([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]])


def perturb(path: Path) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Changes one weight of the file a little, and returns all of them."""
    weights = load_file(path)
    weights["dense2.bias"][3] += 1e-3
    save_file(weights, path)
    return weights


def test_all_exports_agree_with_the_reference(artifact: Path) -> None:
    """The untouched artifact is within its tolerance, in every export."""
    worst = export_parity.check(artifact, read(artifact))
    assert set(worst) == {"saved_model", "torch", "model_store", "serving_bytes", "serving_png", "serving_jpeg"}
    assert max(worst.values()) <= 1e-5


def test_changed_torch_weight_is_caught(artifact: Path) -> None:
    """A weight that is off by a thousandth fails the PyTorch form by name, with instance and class."""
    perturb(artifact / "torch" / "weights.safetensors")
    with pytest.raises(ExportParityError, match=r"^torch differs .*instance \d+, class \d: 0\.\d+ instead of 0\.\d+"):
        export_parity.check(artifact, read(artifact))


def test_changed_weight_in_the_mar_is_caught(artifact: Path, tmp_path: Path) -> None:
    """The .mar is checked by its own content, not by the folder it was packed from."""
    archive, unpacked = artifact / "model_store" / "digits.mar", tmp_path / "unpacked"
    with zipfile.ZipFile(archive) as mar:
        mar.extractall(unpacked)
    perturb(unpacked / "weights.safetensors")
    shutil.make_archive(str(archive), "zip", unpacked)
    archive.with_suffix(".mar.zip").rename(archive)
    with pytest.raises(ExportParityError, match=r"^model_store differs"):
        export_parity.check(artifact, read(artifact))


def test_changed_saved_model_is_caught(artifact: Path) -> None:
    """A SavedModel with other weights fails by name."""
    other = perturb(artifact / "weights.safetensors")
    folder = artifact / "saved_model" / "1"
    shutil.rmtree(folder)
    savedmodel.write(digits.WORKLOAD, other, Examples({"image": np.zeros((1, 8, 8), np.float32)}), folder)
    with pytest.raises(ExportParityError, match=r"^saved_model differs"):
        export_parity.check(artifact, read(artifact))


def test_wrong_decoder_is_caught(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SavedModel whose other signature reads the values in another order fails by the name of that signature."""
    folder, right = artifact / "saved_model" / "1", serving_bytes.decoded
    monkeypatch.setattr(serving_bytes, "decoded", lambda *one: [tensor[:, ::-1] for tensor in right(*one)])
    shutil.rmtree(folder)
    weights = load_file(artifact / "weights.safetensors")
    savedmodel.write(digits.WORKLOAD, weights, Examples({"image": np.zeros((1, 8, 8), np.float32)}), folder)
    with pytest.raises(ExportParityError, match=r"^serving_bytes differs"):
        export_parity.check(artifact, read(artifact))


def test_missing_signature_is_caught(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SavedModel without `serving_bytes`, of a model that should have it, is an ExportError."""
    folder = artifact / "saved_model" / "1"
    shutil.rmtree(folder)
    weights = load_file(artifact / "weights.safetensors")
    with monkeypatch.context() as patch:
        patch.setattr(serving_bytes, "offered", lambda inputs: False)
        savedmodel.write(digits.WORKLOAD, weights, Examples({"image": np.zeros((1, 8, 8), np.float32)}), folder)
    with pytest.raises(ExportError, match="serving_bytes"):
        export_parity.check(artifact, read(artifact))


def test_unloadable_saved_model_is_one_sentence(artifact: Path) -> None:
    """A SavedModel that TensorFlow cannot read is an ExportError of one line."""
    (artifact / "saved_model/1/saved_model.pb").write_bytes(b"not a graph")
    with pytest.raises(ExportError, match="the SavedModel cannot be loaded") as caught:
        export_parity.check(artifact, read(artifact))
    assert "\n" not in str(caught.value)


def test_all_forward_passes_agree_for_any_weights(artifact: Path) -> None:
    """Module, twin and reference agree for random weights too, where every layout mistake is large."""
    import torch

    generator = np.random.default_rng(7)
    stored = load_file(artifact / "weights.safetensors")
    weights = {n: generator.normal(0, 0.3, v.shape).astype(np.float32) for n, v in stored.items()}
    inputs = generator.random((5, 8, 8), np.float32)
    expected = digits.reference(weights, inputs)
    module = digits.network()
    module.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    np.testing.assert_allclose(module(torch.from_numpy(inputs)).detach().numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(digits.twin(weights)(inputs).numpy(), expected, atol=1e-5)


def test_compare_returns_the_largest_difference() -> None:
    """Within the tolerance the largest difference is the result."""
    actual = EXPECTED.astype(np.float32)
    actual[1, 2] += np.float32(0.001)
    assert export_parity.compare("x", actual, EXPECTED, SPEC, LABELS, 0.01) == pytest.approx(0.001, rel=1e-3)


def test_compare_names_the_worst_element() -> None:
    """Of several differences the message names the worst: instance, class and both values."""
    actual = EXPECTED.astype(np.float32)
    actual[0, 0] += np.float32(0.01)
    actual[1, 1] += np.float32(0.25)
    with pytest.raises(ExportParityError, match=r"^x differs .*instance 1, class b: 0\.3[45]\d* instead of 0\.1 "):
        export_parity.compare("x", actual, EXPECTED, SPEC, LABELS, 1e-5)


def test_compare_refuses_nan() -> None:
    """An answer that is no number never counts as close."""
    actual = EXPECTED.astype(np.float32)
    actual[0, 1] = np.nan
    with pytest.raises(ExportParityError, match="instance 0, class b: nan"):
        export_parity.compare("x", actual, EXPECTED, SPEC, LABELS, 1e-5)


def test_compare_refuses_another_shape() -> None:
    """A missing row is a difference, not something to broadcast."""
    with pytest.raises(ExportParityError, match="shape"):
        export_parity.compare("x", EXPECTED[:1].astype(np.float32), EXPECTED, SPEC, LABELS, 1e-5)


def test_compare_names_an_element_without_classes() -> None:
    """Where there are no classes, the element is told by its place."""
    actual = EXPECTED.astype(np.float32)
    actual[1, 2] += np.float32(0.1)
    with pytest.raises(ExportParityError, match=r"instance 1, scores\[2\]: 0\.9\d* instead of 0\.8 "):
        export_parity.compare("x", actual, EXPECTED, SPEC, (), 1e-5)


@pytest.mark.parametrize(
    ("dtype", "right", "wrong"), [("int64", 3, 4), ("bool", True, False), ("string", "red", "green")]
)
def test_compare_takes_what_is_no_float_exactly(dtype: str, right: object, wrong: object) -> None:
    """Whole numbers, booleans and text are equal or wrong, whatever the tolerance."""
    spec = TensorSpec("kind", dtype, ())
    assert export_parity.compare("x", np.array([right]), np.array([right]), spec, (), 10.0) == 0
    with pytest.raises(ExportParityError, match=rf"instance 1, kind\[\]: {wrong} instead of {right}$"):
        export_parity.compare("x", np.array([right, wrong]), np.array([right, right]), spec, (), 10.0)


def test_compare_refuses_another_type() -> None:
    """An answer in double precision is not what was declared."""
    with pytest.raises(ExportParityError, match="scores is float64, not float32"):
        export_parity.compare("x", EXPECTED, EXPECTED, SPEC, LABELS, 1e-5)
