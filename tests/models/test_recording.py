"""What a build records of a model, for TensorBoard and as figures."""

import json
import re
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen
from xml.etree import ElementTree

import numpy as np
import pytest
from google.protobuf import text_format
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.projector import projector_config_pb2

from models import digits
from models.artifact_manifest import read
from models.errors import BoardError, WorkloadError
from models.examples import Examples
from models.recording import board, embedding, evaluation
from models.recording.figures import learning, style
from models.recording.history import Epoch, History, Step
from models.recording.record import Record, evaluate
from models.recording.torch_board import write as write_torch
from models.recording.write import FRAMEWORKS
from models.tensors import TensorSpec
from models.workload import Trained
from tests.models.board_process import shown
from tests.models.conftest import Completed, real_model
from tests.models.tiny import tiny

SCALARS = {"loss", "accuracy", "learning_rate"}


def events(artifact: Path, run: str) -> EventAccumulator:
    """What TensorBoard reads of a run."""
    accumulator = EventAccumulator(
        str(artifact / "board" / run), size_guidance={"scalars": 0, "tensors": 0, "histograms": 0}
    )
    accumulator.Reload()
    return accumulator


def scalars(artifact: Path, run: str) -> dict[str, list[tuple[int, float]]]:
    """The scalars of a run, whether PyTorch or TensorFlow wrote them."""
    found = events(artifact, run)
    plain = {tag: [(one.step, one.value) for one in found.Scalars(tag)] for tag in found.Tags()["scalars"]}
    import tensorflow as tf

    tensors = {
        tag: [(one.step, float(tf.make_ndarray(one.tensor_proto))) for one in found.Tensors(tag)]
        for tag in found.Tags()["tensors"]
        if found.SummaryMetadata(tag).plugin_data.plugin_name == "scalars"
    }
    return plain | tensors


def test_both_frameworks_write_the_same_curves(artifact: Path) -> None:
    """Equal runs and tags with equal values at equal steps, so that one lies over the other."""
    for run, tags in (("seed-0/training", SCALARS), ("seed-0/held_out", SCALARS - {"learning_rate"})):
        torch, tensorflow = scalars(artifact, f"torch/{run}"), scalars(artifact, f"tensorflow/{run}")
        assert torch.keys() == tensorflow.keys() == tags
        for values in torch.values():
            assert np.shape(values) == (920 if "training" in run else 40, 2)
        for tag in tags:
            np.testing.assert_allclose(torch[tag], tensorflow[tag], rtol=1e-6)
    assert torch["accuracy"][-1][1] == pytest.approx(read(artifact).quality.value, abs=1e-6)


def test_both_write_histograms_images_a_graph_and_an_embedding(artifact: Path) -> None:
    """Of every parameter and its gradient; the graph names the layers; each held-out example has its vector."""
    names = [name for name, _ in digits.network().named_parameters()]
    wanted = {f"{kind}/{name}" for kind in ("weights", "gradients") for name in names}
    torch, tensorflow = (events(artifact, f"{one}/seed-0/training") for one in ("torch", "tensorflow"))
    assert set(torch.Tags()["histograms"]) == wanted <= set(tensorflow.Tags()["tensors"])
    assert len(torch.Histograms("weights/conv1.weight")) == len(tensorflow.Tensors("weights/conv1.weight")) == 10
    torch, tensorflow = (events(artifact, one) for one in ("torch", "tensorflow"))
    images = {"held_out/confusion", "held_out/hardest"}
    assert images == set(torch.Tags()["images"])
    assert images <= set(tensorflow.Tags()["tensors"])
    assert {"Conv2D", "MaxPool", "Softmax"} <= {node.op for node in tensorflow.Graph().node if "/" not in node.name}
    assert any("conv2" in node.name for node in torch.Graph().node)
    for framework in ("torch", "tensorflow"):
        folder = artifact / "board" / framework
        config = text_format.Parse(
            (folder / "projector_config.pbtxt").read_text(), projector_config_pb2.ProjectorConfig()
        )
        (found,) = config.embeddings
        assert len((folder / found.metadata_path).read_text().splitlines()) == 360
        assert list(found.sprite.single_image_dim) == [8, 8]
        assert (folder / found.sprite.image_path).is_file()


def test_the_history_of_adaptive_is_that_of_its_answer() -> None:
    """Its last accuracy is that of the model, whose stages each give a share; what is not trained has no gradient."""
    artifact = real_model("adaptive")
    for framework in ("torch", "tensorflow"):
        held_out = scalars(artifact, f"{framework}/seed-0/held_out")
        assert held_out["accuracy"][-1][1] == pytest.approx(read(artifact).quality.value, abs=1e-6)
        assert held_out["loss"][-1][1] < held_out["loss"][0][1] / 2
    tags = events(artifact, "torch/seed-0/training").Tags()["histograms"]
    assert {"weights/sure", "gradients/entry.weight"} <= set(tags)
    assert "gradients/sure" not in tags


def test_no_file_is_named_after_the_machine(artifact: Path) -> None:
    """The writers would put the host, the process and the time into the names."""
    names = {path.name for path in (artifact / "board").rglob("*tfevents*")}
    assert names == {"events.out.tfevents.0", "events.out.tfevents.1"} or names == {"events.out.tfevents.0"}


@pytest.mark.parametrize("name", ["digits", "adaptive"])
def test_three_seeds_are_told_apart(name: str) -> None:
    """The built artifact has three trainings; hparams shows the seed and the accuracy of each, of both frameworks."""
    artifact = real_model(name)
    facts = json.loads((artifact / "figures" / "model.json").read_text())
    assert [one["seed"] for one in facts["trainings"]] == [0, 1, 2]
    for framework in ("torch", "tensorflow"):
        told = [scalars(artifact, f"{framework}/seed-{seed}")["final/accuracy"][-1][1] for seed in range(3)]
        assert told == pytest.approx([one["held_out_accuracy"] for one in facts["trainings"]], abs=1e-6)
        for seed in range(3):
            found = events(artifact, f"{framework}/seed-{seed}")
            assert "_hparams_/session_start_info" in found.PluginTagToContent("hparams")


def test_figures_stand_alone(artifact: Path) -> None:
    """Well-formed SVG that takes the reader's scheme, holds no date, and asks for nothing from elsewhere."""
    facts = json.loads((artifact / "figures" / "model.json").read_text())
    files = [one["file"] for one in facts["pictures"]]
    assert files == ["learning.svg", "confusion.svg", "hardest.svg", "vector_map.svg"]
    for file in files:
        text = (artifact / "figures" / file).read_text()
        ElementTree.fromstring(text)
        assert "prefers-color-scheme:dark" in text
        assert "currentColor" in text
        assert style.INK not in text.replace(style.SCHEMES, "")
        assert "<dc:date>" not in text
        assert re.findall(r'href="(?!#|data:)', text) == []


def test_model_json_says_what_the_model_is(artifact: Path) -> None:
    """Its numbers agree with the network, the manifest and each other."""
    facts = json.loads((artifact / "figures" / "model.json").read_text())
    assert facts["parameters"] == sum(one.numel() for one in digits.network().parameters())
    assert {one["kind"]: one["count"] for one in facts["layers"]} == {"Conv2d": 2, "Linear": 2}
    assert sum(one["parameters"] for one in facts["layers"]) == facts["parameters"]
    quality, classified = read(artifact).quality, facts["classified"]
    assert facts["quality"] == {"name": "accuracy", "value": quality.value, "held_out": 360}
    counts = np.array(classified["confusion"])
    assert counts.sum() == 360
    assert counts.sum() - counts.trace() == classified["mistakes"] == round(360 * (1 - quality.value))
    hardest = classified["hardest"]
    assert sum(one["said"] != one["right"] for one in hardest) == min(len(hardest), classified["mistakes"])


@pytest.mark.parametrize(
    ("name", "pictures"),
    [
        ("imagenet", ["confusion", "hardest", "vector_map"]),
        ("minilm", ["vector_map"]),
    ],
)
def test_what_was_not_trained_here_is_evaluated(name: str, pictures: list[str]) -> None:
    """No curves and no seeds; graphs of both, and what there is to see of the answers."""
    artifact = real_model(name)
    facts = json.loads((artifact / "figures" / "model.json").read_text())
    assert [one["file"] for one in facts["pictures"]] == [f"{one}.svg" for one in pictures]
    assert facts["trainings"] == []
    assert (facts["classified"] is None) == (name == "minilm")
    for framework in ("torch", "tensorflow"):
        assert events(artifact, framework).Tags()["graph"]
        assert not any((artifact / "board" / framework).glob("seed-*"))
    vectors = np.loadtxt(next((artifact / "board" / "torch").rglob("tensors.tsv")))
    assert vectors.shape[0] == read(artifact).quality.examples


def test_a_network_that_cannot_be_traced_is_no_failure(tmp_path: Path) -> None:
    """What is written says so, and the rest is there."""
    from torch import nn

    class Refusing(nn.Module):
        def forward(self, number: Any) -> Any:
            raise RuntimeError("not\nthis way")

    workload = tiny(lambda number: number, (TensorSpec("number", "float32", ()),), (TensorSpec("n", "float32", ()),))
    object.__setattr__(workload, "network", Refusing)
    outputs, examples = {"n": np.zeros(2)}, Examples({"number": np.zeros(2, np.float32)})
    seen = evaluate(workload, {}, Trained({}, examples, examples), outputs)
    write_torch(Record(workload, {}, 0.5, {}, {"number": np.zeros(1, np.float32)}, seen, {}), tmp_path)
    found = EventAccumulator(str(tmp_path))
    found.Reload()
    (tag,) = (tag for tag in found.Tags()["tensors"] if tag.startswith("graph"))
    assert found.Tensors(tag)[0].tensor_proto.string_val == [b"The network cannot be traced: not this way"]
    assert found.Tags()["scalars"] == ["quality/none"]


def test_what_a_model_does_not_have_is_left_out() -> None:
    """Numbers in a row are no pictures, one number is no embedding, and without labels nothing is confused."""
    row = Examples({"row": np.zeros((3, 4), np.float32)})
    assert evaluation.thumbnails(row, [TensorSpec("row", "float32", (4,))], 64) is None
    assert embedding.of_output({"progression": np.zeros((3, 1))}) is None
    assert evaluation.classified({"progression": np.zeros((3, 1))}, None, ()) is None
    assert evaluation.titles(row, (), ()) == ["example 0", "example 1", "example 2"]


def test_pictures_beyond_a_size_are_made_smaller() -> None:
    """224 pixels become 56, grey ones get three channels, and values beyond 0 to 1 are no picture."""
    spec = TensorSpec("image", "float32", (224, 224, 3))
    grey = TensorSpec("image", "float32", (8, 8))
    white = np.ones((2, 224, 224, 3), np.float32)
    small = evaluation.thumbnails(Examples({"image": white}), [spec], 64)
    assert small is not None
    assert small.shape == (2, 56, 56, 3)
    assert small.min() == 255
    repeated = evaluation.thumbnails(Examples({"image": np.eye(8, dtype=np.float32)[None]}), [grey], 64)
    assert repeated is not None
    assert repeated.shape == (1, 8, 8, 3)
    assert evaluation.thumbnails(Examples({"image": 2 * white}), [spec], 64) is None


def test_a_confusion_matrix_has_the_classes_that_are_there() -> None:
    """Of a thousand classes two, and none at all where nobody could read it."""
    scores = np.zeros((3, 1000))
    scores[[0, 1, 2], [7, 7, 9]] = 1
    found = evaluation.classified({"scores": scores}, np.array([7, 9, 9]), [str(one) for one in range(1000)])
    assert found is not None
    assert found.present.tolist() == [7, 9]
    assert found.confusion is not None
    assert found.confusion.tolist() == [[1, 0], [1, 1]]
    assert (found.mistakes, found.hardest(1).tolist(), found.told(1)) == (1, [1], "7 (1.00), is 9")
    many = evaluation.classified({"scores": np.eye(50)}, np.arange(50), [str(one) for one in range(50)])
    assert many is not None
    assert many.confusion is None


def test_the_training_curve_is_the_mean_of_each_epoch() -> None:
    """Steps are noisy: two epochs of two steps give two points."""
    steps = [Step(loss, 0.5, 0.1) for loss in (4.0, 2.0, 1.0, 0.0)]
    history = History({}, 8, steps, [Epoch(number, 1.0, 1.0, {}, {}) for number in (2, 4)])
    ends, losses = learning.training(history, "loss")
    assert (list(ends), losses.tolist()) == ([2, 4], [3.0, 0.5])


def test_texts_that_do_not_fit_are_refused() -> None:
    """One for each held-out example, or none."""
    examples = Examples({"number": np.zeros(2, np.float32)})
    with pytest.raises(WorkloadError, match="gave 1 texts for 2 held-out examples"):
        Trained({}, examples, examples, texts=["one"])


def test_a_board_without_runs_says_how_to_make_some(cli: Callable[..., Completed], root: Path) -> None:
    """One line and exit code 1: for a model that was never built, and for an artifact that has none."""
    done = cli("board", "minilm")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: no runs of minilm in {root}: make some with: python -m models build minilm\n"
    for folder in root.glob("*/*/board"):
        folder.rename(folder.with_name("other"))
    with pytest.raises(BoardError, match="build digits --force"):
        board.runs_of(root, "digits")
    with pytest.raises(BoardError, match=r"python -m models build$"), board.runs_of_all(root, ["digits"]):
        pass


def test_a_board_without_tensorboard_says_what_to_install(
    cli: Callable[..., Completed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line and exit code 1, where the runs are there and the package that shows them is not."""
    missing = tmp_path / "packages" / "tensorboard.py"
    missing.parent.mkdir()
    missing.write_text('raise ModuleNotFoundError("No module named \'tensorboard\'", name="tensorboard")\n')
    monkeypatch.setenv("PYTHONPATH", str(missing.parent))
    done = cli("board", "digits", "--port", "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: package tensorboard is missing: pip install -e '.[models]'\n"


def test_a_port_that_is_taken_is_named(cli: Callable[..., Completed]) -> None:
    """In one line, with the address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = cli("board", "digits", "--port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(rf"error: TensorBoard cannot listen on 127\.0\.0\.1:{port}: [^\n]+\n", done.stderr)


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
def test_an_address_of_another_machine_is_named(tmp_path: Path, host: str) -> None:
    """In one line too, whether it is one of documentation (RFC 5737) or no name of any machine."""
    with pytest.raises(BoardError, match=rf"^TensorBoard cannot listen on {host}:6006: [^\n]+$"):
        board.start(tmp_path, host, 6006)


def test_the_newest_version_is_shown(tmp_path: Path) -> None:
    """By number, so that 10 comes after 9."""
    for version in ("9", "10"):
        place = tmp_path / "digits" / version / "board" / "torch"
        place.mkdir(parents=True)
        (place / "events.out.tfevents.0").touch()
    assert board.runs_of(tmp_path, "digits") == tmp_path / "digits" / "10" / "board"


def test_the_board_of_all_shows_what_is_finished(root: Path) -> None:
    """Never what a build has under way, and in the projector no seeds; what is built later comes to it."""
    finished = root / "digits" / "1"
    shutil.copytree(finished, root / ".building-digits" / "artifact")
    with shown(root) as address:

        def listed(path: str) -> set[str]:
            with urlopen(f"{address}data/{path}") as answer:
                return set(json.load(answer))

        def wait_for(place: str) -> None:
            deadline = time.monotonic() + 120
            while not {f"{place}/board/{one}/seed-0/training" for one in FRAMEWORKS} <= listed("runs"):
                assert time.monotonic() < deadline, listed("runs")
                time.sleep(0.2)

        wait_for("digits/1")
        shutil.copytree(finished, root / "next" / "digits" / "2")
        wait_for("next/digits/2")
        assert not [run for run in listed("runs") if not run.startswith(("digits/1/", "next/digits/2/"))]
        models = {f"{place}/board/{one}" for place in ("digits/1", "next/digits/2") for one in FRAMEWORKS}
        assert listed("plugin/projector/runs") == models
