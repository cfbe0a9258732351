"""What is told of exports, and what is refused where the exporters are missing; no exporter is needed for it."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devices import environment, kept, measure, source
from devices.all_exports import EXPORTS, select
from devices.errors import DevicesError
from devices.reason import LONGEST, told
from loadtest.report.exports_table import markdown_exports
from loadtest.servers.artifact import Artifact
from loadtest.servers.exported_model import INT8, Exported, ExportedModel, Made, Right, Round
from models import example_files
from models.artifact_manifest import read
from tests.models.conftest import run

TORCH = Exported(
    name="torch",
    title="PyTorch, on the server",
    framework="torch",
    on_server=True,
    made=Made(None, 1024 * 1024),
    right=Right(1e-7, 0.99, 100, None, 1.0),
    rounds=(Round(2.0, 0.4, 100, 300 * 1024 * 1024), Round(2.2, 0.5, 100, 310 * 1024 * 1024)),
)
ONNX = Exported(
    name="onnx",
    title="ONNX",
    framework="torch",
    export_lines=20,
    run_lines=12,
    made=Made(8.5, 2 * 1024 * 1024),
    right=Right(2e-7, 0.99, 100, None, 1.0),
    rounds=(Round(0.1, 0.1, 900, 50 * 1024 * 1024), Round(0.1, 0.1, 900, 50 * 1024 * 1024)),
)
INT = replace(ONNX, name="onnx_int8", title="ONNX, int8", int8=True, right=Right(0.02, 0.98, 100, None, 0.97))


def findings(*exports: Exported) -> ExportedModel:
    """Some findings about a model."""
    return ExportedModel(
        workload="digits",
        version=1,
        command="python -m models devices digits",
        date="2026-11-27",
        machine="a processor, 2 cores",
        versions={"python": "3.11.7"},
        exports=list(exports),
    )


def cells(text: str, title: str) -> dict[str, str]:
    """The row of an export, by the names of the columns."""
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line
    ]
    (row,) = [row for row in rows if row[0] == title]
    return dict(zip(head, row, strict=True))


def test_a_row_holds_an_export_beside_the_server() -> None:
    """The ratio is that of each round, and a quantised export has the accuracy of its float32 twin beside it."""
    text = markdown_exports(findings(TORCH, ONNX, INT))
    row = cells(text, "ONNX")
    assert (row["size, MiB"], row["largest difference"], row["accuracy"]) == ("2.00", "2.0e-07", "0.9900")
    assert row["of its framework's on the server"] == "0.225 (0.2 to 0.25)"
    assert cells(text, "ONNX, int8")["accuracy"] == "0.9800 (float32: 0.9900)"
    assert cells(text, "PyTorch, on the server")["of its framework's on the server"] == "1"
    assert "the median of the rounds" in text.lower()


def test_what_does_not_convert_stays_in_the_table_with_its_reason() -> None:
    """A refusal is data; so is an export whose answers differ, which is not timed."""
    refused = replace(ONNX, made=None, right=None, rounds=(), refused="Unsupported: no such operator")
    wrong = replace(ONNX, title="ExecuTorch", rounds=(), right=Right(0.5, 0.9, 100, None, 0.9), wrong="differs by 0.5")
    text = markdown_exports(findings(TORCH, refused, wrong))
    assert cells(text, "ONNX")["size, MiB"] == "refused"
    assert cells(text, "ExecuTorch")["forward, ms"] == "-"
    assert cells(text, "ExecuTorch")["largest difference"] == "5.0e-01"
    assert "- ONNX: Unsupported: no such operator" in text
    assert "- ExecuTorch: differs by 0.5" in text


def test_a_model_without_classes_has_a_cosine() -> None:
    """The column says which figure it is, and lengths that vary get one of their own."""
    one = replace(ONNX, right=Right(2e-7, None, 0, 0.99991, None), lengths="any")
    row = cells(markdown_exports(findings(replace(TORCH, right=one.right), one)), "ONNX")
    assert row["smallest cosine to the reference"] == "0.9999"
    assert row["lengths"] == "any"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("a first line\n  a graph of 300 lines"), "ValueError: a first line"),
        (
            ModuleNotFoundError("No module named 'x'", name="executorch"),
            "package executorch is missing: scripts/devices",
        ),
        (
            RuntimeError("loc: error: 'tf.Erf' op is neither a custom op nor a flex op\nloc: 'tf.Erf' op is neither …"),
            "RuntimeError: LiteRT has no operator for tf.Erf",
        ),
        (OSError("no /tmp/some-folder/model.onnx"), "OSError: no model.onnx"),
        (RuntimeError("Failed. \x1b[96mThis is step 1/3\x1b[0m of it"), "RuntimeError: Failed. This is step 1/3 of it"),
        (RuntimeError(""), "RuntimeError: no message"),
    ],
)
def test_a_long_message_becomes_one_line(error: Exception, line: str) -> None:
    """With the operators that are missing, where the exporter names them."""
    assert told(error) == line
    assert len(told(ValueError("x" * 5_000))) == LONGEST


def test_the_cause_of_a_failed_pass_is_told() -> None:
    """Exporters raise that a pass failed, from the error that says why."""
    error = RuntimeError("a pass failed")
    error.__cause__ = KeyError("aten::new")
    assert told(error) == "RuntimeError: a pass failed: 'aten::new'"


def test_exports_are_chosen_by_name() -> None:
    """Every road has a float32 and an int8 export."""
    assert [export.name for export in select(" onnx,litert_tf,onnx")] == ["onnx", "litert_tf"]
    assert {name.removesuffix(INT8) for name in EXPORTS} == {"onnx", "executorch", "litert_torch", "litert_tf"}
    with pytest.raises(DevicesError, match="unknown export 'coreml'; known: onnx, onnx_int8, "):
        select("coreml")


def test_missing_exporters_are_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless their own environment is there."""
    monkeypatch.setattr(environment, "PACKAGES", ("no_such_package",))
    with pytest.raises(DevicesError, match=r"not installed: scripts/devices makes \.venv-devices"):
        environment.python(tmp_path)
    there = tmp_path / ".venv-devices" / "bin" / "python"
    there.parent.mkdir(parents=True)
    there.touch()
    assert environment.python(tmp_path) == there


def test_an_unknown_export_ends_the_command(artifact: Artifact) -> None:
    """Before anything is started."""
    done = run(artifact.folder.parents[1], "devices", "digits", "--exports", "coreml")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: unknown export 'coreml'; known: ")
    assert done.stderr.count("\n") == 1


def nearest(images: Any, to: Any) -> Any:
    """For each image the number of the nearest other one, by the sum of the squares of the differences."""
    images, to = (array.reshape(len(array), -1).astype(np.float64) for array in (images, to))
    return ((images[:, None] - to[None]) ** 2).sum(2).argmin(1)


def test_no_held_out_example_both_calibrates_and_counts(artifact: Artifact) -> None:
    """Told by the pictures themselves: with a noise of a hundredth each is nearest to its own held-out example."""
    manifest = read(artifact.folder)
    made_of = source.of_artifact(artifact.folder, manifest)
    some, right = source.further(artifact.folder, manifest, 1_000)
    load, _ = example_files.read(artifact.folder, manifest.load)
    held_out = load.inputs["image"][: manifest.quality.examples]  # the first ones: one of each
    calibrating = set(nearest(np.concatenate([one["image"] for one in made_of.calibration]), held_out))
    counting = set(nearest(some.inputs["image"], held_out))
    assert len(calibrating) == source.CALIBRATION
    assert len(counting) > manifest.quality.examples / 2
    assert not calibrating & counting
    assert some.size == len(right["probabilities"]) == 1_000
    assert (right["probabilities"].argmax(1) == some.labels).mean() > 0.95


def test_shorter_instances_are_filled_up(artifact: Artifact) -> None:
    """Calibration takes load examples, never the golden ones."""
    made_of = source.of_artifact(artifact.folder, read(artifact.folder))
    assert len(made_of.calibration) == source.CALIBRATION
    assert {array.shape for one in made_of.calibration for array in one.values()} == {(1, 8, 8)}
    assert not any((one["image"] == made_of.example["image"]).all() for one in made_of.calibration)
    assert made_of.longest["image"].shape == (1, 8, 8)


def test_a_step_that_cannot_be_taken_is_a_refusal(artifact: Artifact, tmp_path: Path) -> None:
    """A file that no runtime can read, or no runtime at all: the row says so, and the others are tried."""
    manifest = read(artifact.folder)
    steps = measure._Steps(Path(sys.executable), artifact.folder, tmp_path)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    finding = measure._check(steps, replace(ONNX, right=None), broken, manifest.tolerance)
    assert finding.refused.startswith("made, but gives no answer: ")
    assert "\n" not in finding.refused


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (Right(0.4, 0.52, 100, None, 0.51), ""),
        (Right(0.9, 0.1, 100, None, 0.09), "gives 9% of the examples the class that the reference gives, asked 50%"),
        (Right(0.4, None, 0, 0.7, None), ""),
        (Right(0.4, None, 0, -0.02, None), "the smallest cosine to the reference is -0.02, asked 0.5"),
    ],
)
def test_int8_may_differ_but_not_beyond_recognition(right: Right, wrong: str) -> None:
    """A runtime that gives one class to everything is not timed beside those that answer."""
    assert measure._wrong_int8(right) == wrong


def test_kept_exports_are_described_and_wrong_ones_removed(artifact: Artifact, tmp_path: Path) -> None:
    """A page that loads one finds its tensors, its labels and its checksum beside it."""
    manifest = read(artifact.folder)
    files = {name: tmp_path / f"{name}.onnx" for name in ("onnx", "onnx_int8")}
    for file in files.values():
        file.write_bytes(b"abc")
    kept.describe(tmp_path, files, findings(TORCH, ONNX, replace(INT, refused="crashed: SIGSEGV")), manifest)
    described = json.loads((tmp_path / "digits.json").read_text(encoding="utf-8"))
    assert described["labels"] == list("0123456789")
    assert described["exports"].keys() == {"onnx"}
    assert described["exports"]["onnx"]["sha256"].startswith("ba7816bf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits.json", "onnx.onnx"]
