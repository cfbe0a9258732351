"""What a built artifact holds, and that it can be read without the builder."""

import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import models
from models import digits, mar
from models.artifact_manifest import read, scan
from models.errors import ExportError

REPO = Path(models.__file__).parent.parent
FORM = {"load.py", "network.py", "weights.safetensors", "workload.json"}


@pytest.fixture
def loader(artifact: Path) -> ModuleType:
    """The loader that the artifact ships."""
    spec = importlib.util.spec_from_file_location("shipped_load", artifact / "torch" / "load.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_manifest_lists_every_file_with_its_hash(artifact: Path) -> None:
    """The manifest and the disk agree, and the parts that servers look for are there."""
    manifest = read(artifact)
    assert manifest.files == scan(artifact)
    assert {
        "weights.safetensors",
        "saved_model/1/saved_model.pb",
        "saved_model/1/assets.extra/tf_serving_warmup_requests",
        "model_store/digits.mar",
        *(f"torch/{name}" for name in FORM),
        *manifest.golden.paths,
        *manifest.load.paths,
        *manifest.fresh.paths,
    } <= set(manifest.files)


WRONG_SHAPES = [(), (1,), (0,), (1, 3), (1, 8), (1, 0), (1, 2, 2), (2, 8, 9), (1, 8, 8, 1)]


@pytest.mark.parametrize("onednn", ["0", "1"])
def test_saved_model_refuses_wrong_shapes_itself(artifact: Path, onednn: str) -> None:
    """Fed as a server feeds it, past the signature, a wrong shape is an error; in a convolution it ends the process."""
    script = f"""if True:
        import sys
        import numpy as np
        import tensorflow as tf

        for shape in {WRONG_SHAPES}:
            with tf.compat.v1.Session(graph=tf.Graph()) as session:
                loaded = tf.compat.v1.saved_model.load(session, ["serve"], {str(artifact / "saved_model/1")!r})
                signature = loaded.signature_def["serving_default"]
                image, answer = signature.inputs["image"].name, signature.outputs["probabilities"].name
                tensor = session.graph.get_tensor_by_name(image)
                call = session._call_tf_sessionrun  # beneath Python's own check of what is fed
                feed = {{tensor._as_tf_output(): np.zeros(shape, np.float32)}}
                try:
                    call(None, feed, [session.graph.get_tensor_by_name(answer)._as_tf_output()], [], None)
                except tf.errors.InvalidArgumentError as error:
                    print(shape, "is not compatible" in str(error))
    """
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": onednn, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{shape} True" for shape in WRONG_SHAPES]


def test_most_instances_follow_from_the_weight_of_an_answer(artifact: Path) -> None:
    """As many instances as are allowed fit into 4 MiB of JSON, whatever their numbers; the servers' files agree."""
    manifest = read(artifact)
    widest = float(np.float32(-1.1754943508222875e-38))
    answer = json.dumps({"predictions": [[widest] * 10] * manifest.max_instances})
    assert 0.99 * 4 * 2**20 < len(answer) <= 4 * 2**20
    assert json.loads((artifact / "torch/workload.json").read_text())["max_instances"] == manifest.max_instances
    with zipfile.ZipFile(artifact / "model_store/digits.mar") as mar:
        assert json.loads(mar.read("workload.json"))["max_instances"] == manifest.max_instances


def test_accuracy_is_stored_and_kept_its_promise(artifact: Path) -> None:
    """The held-out fifth was measured, and at least 0.97 of it is right."""
    quality = read(artifact).quality
    assert (quality.name, quality.examples, quality.at_least) == ("accuracy", 360, 0.97)
    assert 0.97 <= quality.value <= 1.0


def test_golden_files_are_what_the_contract_says(artifact: Path) -> None:
    """Shapes, dtypes and ranges of the golden arrays, which load without pickle."""
    files = read(artifact).golden
    (inputs,), (outputs,) = files.inputs.values(), files.outputs.values()
    paths = {"inputs": inputs, "outputs": outputs, "labels": str(files.labels)}
    golden = {key: np.load(artifact / path, allow_pickle=False) for key, path in paths.items()}
    assert files.lengths is None
    assert {key: (value.shape, value.dtype) for key, value in golden.items()} == {
        "inputs": ((64, 8, 8), np.float32),
        "outputs": ((64, 10), np.float64),
        "labels": ((64,), np.int64),
    }
    assert golden["inputs"].min() == 0.0
    assert golden["inputs"].max() == 1.0
    np.testing.assert_allclose(golden["outputs"].sum(axis=1), 1.0, atol=1e-12)
    assert (golden["outputs"].argmax(axis=1) == golden["labels"]).mean() > 0.9


def test_same_seed_same_weights(artifact: Path) -> None:
    """Training in another process gives the stored weights and held-out images bit for bit; another seed does not."""
    stored = load_file(artifact / "weights.safetensors")
    seed = read(artifact).seed
    again, other = digits.train(seed), digits.train(seed + 1)
    assert {name: w.tobytes() for name, w in again.weights.items()} == {n: w.tobytes() for n, w in stored.items()}
    assert any(other.weights[name].tobytes() != value.tobytes() for name, value in stored.items())
    golden = np.load(artifact / "golden/inputs/image.npy", allow_pickle=False)
    assert {image.tobytes() for image in golden} <= {image.tobytes() for image in again.held_out.inputs["image"]}


def test_nothing_is_pickled(artifact: Path) -> None:
    """No file of the artifact, and none inside the .mar, is a pickle or a torch archive with one in it."""

    def pickles(name: str, content: bytes) -> list[str]:
        if zipfile.is_zipfile(io.BytesIO(content)):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members = [(f"{name}/{member}", archive.read(member)) for member in archive.namelist()]
            return [found for member in members for found in pickles(*member)]
        return [name] if name.endswith(".pkl") or re.match(rb"\x80[\x02-\x05]", content) else []

    files = [path for path in artifact.rglob("*") if path.is_file()]
    assert [found for path in files for found in pickles(path.name, path.read_bytes())] == []


def test_servers_may_read_every_file(artifact: Path) -> None:
    """No file is for its owner alone: containers run as somebody else."""
    assert [path for path in artifact.rglob("*") if not path.stat().st_mode & 0o004] == []


def test_torch_form_needs_torch_and_safetensors_alone(artifact: Path, tmp_path: Path) -> None:
    """The shipped loader runs in isolation, without this package and without what only a build needs."""
    script = (
        "import sys, pathlib\n"
        "for name in ('models', 'tensorflow', 'sklearn'): sys.modules[name] = None\n"
        f"sys.path.insert(0, {str(artifact / 'torch')!r})\n"
        "import torch\n"
        "from load import load\n"
        f"model = load({str(artifact / 'torch')!r})\n"
        "assert not model.training and not any(p.requires_grad for p in model.parameters())\n"
        "print(tuple(model(torch.zeros(3, 8, 8)).shape))\n"
    )
    command = [sys.executable, "-I", "-c", script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "(3, 10)\n", done.stderr


@pytest.mark.parametrize("cut", [0, 7, 100, 5000])
def test_loader_refuses_a_cut_weights_file(loader: ModuleType, artifact: Path, cut: int) -> None:
    """A weights file cut short anywhere is an error of one line, not a model with other weights."""
    weights = artifact / "torch" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"^weights\.safetensors is not a safetensors file, or is damaged: .+$"):
        loader.load(artifact / "torch")


def test_loader_refuses_a_damaged_header(loader: ModuleType, artifact: Path) -> None:
    """So is a file of the right size whose header is no JSON."""
    weights = artifact / "torch" / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[8] = ord("?")
    weights.write_bytes(content)
    with pytest.raises(ValueError, match=r"^weights\.safetensors is not a safetensors file, or is damaged: .+$"):
        loader.load(artifact / "torch")


def test_loader_refuses_other_dtypes(loader: ModuleType, tmp_path: Path) -> None:
    """Only float32 weights are taken."""
    save_file({"bias": np.zeros(3)}, tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match=r"bias is torch\.float64, expected torch\.float32"):
        loader.read_weights(tmp_path / "weights.safetensors")


def test_readme_snippets_run(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code that the README gives to server authors loads both exports, and they agree."""
    images = np.load(artifact / "golden/inputs/image.npy", allow_pickle=False)
    pytorch, tensorflow = re.findall(r"```python\n(.*?)```", (REPO / "models" / "README.md").read_text(), re.DOTALL)[:2]
    monkeypatch.chdir(artifact.parents[2])
    torch = pytest.importorskip("torch")
    names = {"folder": artifact / "torch", "images": torch.from_numpy(images)}
    exec(pytorch, names)
    first = names["probabilities"]
    names["images"] = images
    exec(tensorflow, names)
    np.testing.assert_allclose(np.asarray(first), np.asarray(names["probabilities"]), atol=2e-5)


def test_warmup_records_are_predict_logs(artifact: Path) -> None:
    """TensorFlow Serving's warm-up file parses, names this model and holds batches of one and of many, and octets."""
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    records = tf.data.TFRecordDataset(str(artifact / "saved_model/1/assets.extra/tf_serving_warmup_requests"))
    logs = [prediction_log_pb2.PredictionLog.FromString(record.numpy()) for record in records]
    requests = [log.predict_log.request for log in logs]
    assert {r.model_spec.name for r in requests} == {"digits"}
    assert [(r.model_spec.signature_name, tf.make_ndarray(r.inputs["image"]).shape) for r in requests] == [
        ("serving_default", (1, 8, 8)),
        ("serving_default", (32, 8, 8)),
        ("serving_bytes", (1,)),
        ("serving_png", (1,)),
        ("serving_jpeg", (1,)),
    ]


def test_mar_is_complete(artifact: Path) -> None:
    """The archive holds the PyTorch form and the handler's files side by side, and names them in its manifest."""
    manifest = read(artifact)
    with zipfile.ZipFile(artifact / "model_store" / "digits.mar") as archive:
        names = set(archive.namelist())
        content = archive.read("MAR-INF/MANIFEST.json").decode()
        for name in FORM:
            assert archive.read(name) == (artifact / "torch" / name).read_bytes()
    assert names == FORM | mar.shipped(mar.HANDLER_FILES).keys() | {"MAR-INF/MANIFEST.json"}
    assert {"handler.py", "predict_body/__init__.py"} < names
    assert '"handler": "handler.py"' in content
    assert f'"modelVersion": "{manifest.version}"' in content


@pytest.fixture
def pack(artifact: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Packs a .mar with a handler of the given source."""

    def packed(source: str) -> Path:
        handler = tmp_path / "with, comma [and] brackets" / "handler.py"
        handler.parent.mkdir()
        handler.write_text(source)
        mar.write("digits", 1, artifact / "torch", (handler,), tmp_path / "store", tmp_path / "scratch")
        return tmp_path / "store" / "digits.mar"

    return packed


def test_mar_spares_what_others_keep_in_tmp(
    pack: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archiver's habit of deleting $TMPDIR/<model name> does not reach the user's $TMPDIR."""
    keep = tmp_path / "tmp" / "digits" / "thesis.txt"
    keep.parent.mkdir(parents=True)
    keep.write_text("mine")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    assert pack("class Handler: ...\n").is_file()
    assert keep.read_text() == "mine"


def test_mar_refuses_a_handler_that_could_not_start(pack: Callable[[str], Path]) -> None:
    """A handler that imports what neither the archive nor a worker has is an error at build time."""
    with pytest.raises(ExportError, match=r"handler\.py imports not_packed"):
        pack("import json\nimport load\nfrom not_packed import thing\n")


def test_mar_holds_the_packages_that_a_handler_imports(artifact: Path, tmp_path: Path) -> None:
    """As folders, whose modules may import each other; what they import else is looked for too."""
    handler, package = tmp_path / "handler.py", tmp_path / "bodies"
    handler.write_text("import bodies\n")
    package.mkdir()
    (package / "__init__.py").write_text("from . import rows\nfrom .rows import read\n")
    (package / "rows.py").write_text("import json\n")
    mar.write("digits", 1, artifact / "torch", (handler, package), tmp_path / "store", tmp_path / "scratch")
    with zipfile.ZipFile(tmp_path / "store" / "digits.mar") as archive:
        assert {"handler.py", "bodies/__init__.py", "bodies/rows.py"} < set(archive.namelist())
    (package / "rows.py").write_text("import not_packed\n")
    with pytest.raises(ExportError, match=r"rows\.py imports not_packed"):
        mar.write("digits", 1, artifact / "torch", (handler, package), tmp_path / "more", tmp_path / "scratch2")
    with pytest.raises(ExportError, match=r"handler\.py imports bodies"):
        mar.write("digits", 1, artifact / "torch", (handler,), tmp_path / "other", tmp_path / "scratch3")


def test_missing_handler_is_named(artifact: Path, tmp_path: Path) -> None:
    """A handler that is not there is an error with its path."""
    with pytest.raises(ExportError, match=r"nowhere/handler\.py"):
        mar.write("digits", 1, artifact / "torch", (Path("nowhere/handler.py"),), tmp_path / "s", tmp_path / "t")
