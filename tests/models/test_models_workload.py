"""A new workload is one new file, and one that breaks the contract is refused with the reason."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import models
from models.artifact_manifest import check_files, read
from models.build import build, source_sha256
from models.errors import ExportError, ExportParityError, ModelsError, QualityError, WorkloadError
from models.tensors import TensorSpec
from models.workload import Workload, discover, find

REPO = Path(models.__file__).parent.parent

SECOND = '''
"""Which of two numbers is larger."""

import numpy as np

from models.examples import Examples
from models.quality import accuracy
from models.tensors import TensorSpec
from models.workload import Trained, Workload


def train(seed):
    inputs = np.random.default_rng(seed).random((20, 2), np.float32)
    examples = Examples({"pair": inputs}, inputs.argmax(axis=1))
    weights = {"0.weight": np.array([[9, -9], [-9, 9]], np.float32), "0.bias": np.zeros(2, np.float32)}
    return Trained(weights, held_out=examples, golden=examples.part(slice(4)))


def network():
    from torch import nn

    return nn.Sequential(nn.Linear(2, 2), nn.Softmax(1))


def twin(weights):
    import tensorflow as tf

    class Twin(tf.Module):
        def __init__(self):
            super().__init__()
            self.kernel = tf.Variable(weights["0.weight"].T)
            self.bias = tf.Variable(weights["0.bias"])

        def __call__(self, x):
            return tf.nn.softmax(tf.matmul(x, self.kernel) + self.bias)

    return Twin()


def reference(weights, inputs):
    scores = inputs.astype(np.float64) @ weights["0.weight"].T + weights["0.bias"]
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


WORKLOAD = Workload(
    name="larger",
    version=3,
    description="Which of two numbers is larger.",
    inputs=(TensorSpec("pair", "float32", (2,)),),
    outputs=(TensorSpec("probabilities", "float32", (2,)),),
    labels=("first", "second"),
    seed=1,
    quality=accuracy(at_least=1.0),
    train=train,
    network=network,
    twin=twin,
    reference=reference,
)
'''


@pytest.fixture
def second(workload_folder: Path) -> Path:
    """The file of a second workload, in place."""
    path = workload_folder / "larger.py"
    path.write_text(SECOND)
    return path


def test_new_workload_is_one_new_file(second: Path, tmp_path: Path) -> None:
    """A file in the package is found, built, of its own shapes and version, and left alone the second time."""
    assert list(discover()) == ["adaptive", "digits", "imagenet", "larger", "minilm"]
    said: list[str] = []
    built = build(find("larger"), tmp_path / "artifacts", say=said.append)
    assert built.made
    assert built.folder == tmp_path / "artifacts" / "larger" / "3"
    assert read(built.folder) == built.manifest
    check_files(built.folder, built.manifest)
    assert built.manifest.inputs == (TensorSpec("pair", "float32", (2,)),)
    assert built.manifest.labels == ("first", "second")
    assert any("accuracy on 20 held-out examples: 1.0000" in line for line in said)
    assert not build(find("larger"), tmp_path / "artifacts").made
    assert build(find("larger"), tmp_path / "artifacts", force=True).made


def test_new_workload_leaves_the_others_current(workload_folder: Path) -> None:
    """Adding a workload is no reason to build digits again, changing its own file is one to build it again."""
    before = source_sha256(find("digits"))
    path = workload_folder / "larger.py"
    path.write_text(SECOND)
    assert source_sha256(find("digits")) == before
    own = source_sha256(find("larger"))
    path.write_text(SECOND + "\n# changed\n")
    assert source_sha256(find("larger")) != own


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ('(weights["0.weight"].T)', '(weights["0.weight"].T * 1.01)', ExportParityError, "saved_model differs"),
        ("nn.Softmax(1)", "nn.Softmax(0)", ExportParityError, "torch differs"),
        ("inputs.argmax(axis=1)", "inputs.argmin(axis=1)", QualityError, "0.0000 is below the promised 1"),
        ("    from torch import nn", "    from torch import nn\n    import pandas", WorkloadError, "imports pandas"),
        ("nn.Linear(2, 2)", "nn.Linear(SIZE, 2)", ExportError, "SIZE"),
        ("nn.Linear(2, 2)", "nn.Linear(2, 2, bias=False)", ExportError, "0.bias"),
        ("network=network", "network=lambda: network()", WorkloadError, "module-level def network"),
        ("(20, 2)", "(20, 3)", WorkloadError, r"pair has shape \(4, 3\), not \(n, \*\(2,\)\)"),
        ("np.zeros(2, np.float32)", "np.zeros(2)", ExportError, "0.bias is float64"),
        ("np.zeros(2, np.float32)", "np.full(2, np.nan, np.float32)", ExportError, "diverged"),
    ],
)
def test_broken_workload_fails_and_leaves_the_old_artifact(
    second: Path, tmp_path: Path, old: str, new: str, error: type[ModelsError], message: str
) -> None:
    """Each way of getting a workload wrong is refused with its reason, and nothing half-made is left."""
    root = tmp_path / "artifacts"
    place = root / "larger" / "3"
    place.mkdir(parents=True)
    (place / "earlier").touch()
    assert old in SECOND
    second.write_text(SECOND.replace(old, new, 1))
    with pytest.raises(error, match=message):
        build(find("larger"), root)
    assert [path.name for path in place.iterdir()] == ["earlier"]
    assert sorted(path.name for path in root.iterdir()) == [".lock", "larger"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "../up"}, "name"),
        ({"version": 0}, "version is 0"),
        ({"labels": ("one",)}, "1 labels"),
        ({"inputs": ()}, "needs inputs and outputs"),
        ({"outputs": (TensorSpec("image", "float32", (10,)),)}, "each of another name"),
        ({"inputs": (TensorSpec("Image", "float32", (8, 8)),)}, "lower case"),
        ({"inputs": (TensorSpec("image_bytes", "string", ()),)}, "not ending in _bytes"),
        ({"outputs": (TensorSpec("tokens", "float32", (None,), lengths=(1, 9)),), "labels": ()}, "fixed shape"),
        (
            {
                "inputs": (
                    TensorSpec("ids", "int64", (None,), lengths=(1, 9)),
                    TensorSpec("mask", "int64", (None,), lengths=(2, 9)),
                )
            },
            "the same lengths",
        ),
        ({"inputs": (TensorSpec("image", "uint8", (8, 8)),)}, "needs `vary`"),
    ],
)
def test_contract_is_checked_at_once(change: dict[str, Any], message: str) -> None:
    """A workload with an impossible value cannot even be made."""
    workload: Workload = find("digits").workload
    with pytest.raises(WorkloadError, match=message):
        replace(workload, **change)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("x", "float16", (2,)), "x is float16; exported are float32, "),
        (("x", "int64", (None,)), "`lengths` says how"),
        (("x", "int64", (2,), (1, 2)), "`lengths` says how"),
        (("x", "int64", (None, None), (1, 2)), "one dimension"),
        (("x", "int64", (None,), (0, 2)), "run from 0 to 2"),
        (("x", "string", (None,), (1, 2)), "text has a fixed shape"),
        (("x", "int64", (None,), (1, 2), 0, 1), "its padding 0 is beyond the limits"),
        (("x", "int64", (None,), (1, 2), 9, None, 8), "its padding 9 is beyond the limits"),
    ],
)
def test_a_tensor_that_cannot_be_served_is_refused(values: tuple[Any, ...], message: str) -> None:
    """Its type, its shape and its lengths, before anything is trained."""
    with pytest.raises(ValueError, match=message):
        TensorSpec(*values)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import not_there_at_all", r"models/odd\.py: ModuleNotFoundError"),
        ("WORKLOAD = 3", r"odd\.py: WORKLOAD must be"),
        ("from models.digits import WORKLOAD", r"the name 'digits' is taken by digits\.py"),
    ],
)
def test_unusable_file_is_named(workload_folder: Path, source: str, message: str) -> None:
    """A file of the package that cannot be a workload is an error with its name."""
    (workload_folder / "odd.py").write_text(source)
    with pytest.raises(WorkloadError, match=message):
        discover()


def test_handler_counts_as_a_source(tmp_path: Path, second: Path) -> None:
    """Another TorchServe handler makes another .mar, so it changes the digest."""
    handler = tmp_path / "handler.py"
    handler.write_text("class Handler: ...\n")
    before = source_sha256(find("larger"), (handler,))
    handler.write_text("class Handler: pass\n")
    assert source_sha256(find("larger"), (handler,)) != before


def test_listing_needs_no_framework() -> None:
    """Manifests and workloads are read without importing torch, tensorflow or scikit-learn."""
    script = (
        "import sys, models.artifact_manifest, models.__main__, models.workload\n"
        "models.workload.discover()\n"
        "print(sorted({'torch', 'tensorflow', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPO, capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr
