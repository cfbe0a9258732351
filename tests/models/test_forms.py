"""The forms of a model: what each keeps of the model's code, what it needs, and that a wrong answer is found."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from loadtest.launch.local import start_local
from loadtest.machine.placement import UNPINNED
from loadtest.servers.artifact import load_artifact
from loadtest.servers.server_folder import Server
from models import read_back
from models.artifact_manifest import read, root
from models.errors import ExportError, FormError
from models.forms import deployed, sources
from models.forms.all_forms import FORMS, select
from models.forms.calling import over_torch
from models.forms.finding import REFUSED, RIGHT, WRONG, Answered, Finding, Findings
from models.forms.form import Source, told
from models.forms.probes import POSITIVE, SPECS, probe
from models.forms.table import render
from models.forms.torch_exported import program
from models.forward_timing import ForwardTiming
from models.tensors import TensorSpec
from tests.models.conftest import real_model, run


@pytest.mark.parametrize(
    ("name", "prints", "breakpoints", "branch"),
    [
        ("eager", (1, 1, 1), (1, 1, 1), RIGHT),
        ("exported", (0, 0, 0), (0, 0, 0), REFUSED),
        ("traced", (0, 0, 0), (0, 0, 0), WRONG),
        ("scripted", (1, 1, 1), (), RIGHT),
        ("tf-eager", (1, 1, 1), (1, 1, 1), RIGHT),
        ("tf-function", (1, 0, 0), (1, 0, 0), RIGHT),
        ("saved-model", (0, 0, 0), (0, 0, 0), RIGHT),
        ("xla", (0, 0, 0), (0, 0, 0), RIGHT),
    ],
)
def test_what_a_form_keeps_of_the_code(
    name: str,
    prints: tuple[int, ...],
    breakpoints: tuple[int, ...],
    branch: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Code that runs on each call is reached on each call, a graph never comes by, and only a trace errs in silence."""
    with capfd.disabled():
        found = probe(FORMS[name], tmp_path)
    assert (found.prints.each, found.breakpoints.each, found.branch.outcome) == (prints, breakpoints, branch)
    assert (found.breakpoints.refused != "") == (name == "scripted")
    assert (found.branch.when == "build") == (branch == REFUSED)


@pytest.mark.parametrize(
    ("name", "where"), [("aotinductor", "where the model is built"), ("compiled", "where the model runs")]
)
def test_a_missing_compiler_is_named(name: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says which form needs it, where, and what to install."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    # A matrix product alone would be left to a library.
    source = Source(lambda: nn.Sequential(nn.Linear(4, 4), nn.ReLU()).eval(), *SPECS, POSITIVE)

    def answer() -> None:
        FORMS[name].build(source, tmp_path)
        FORMS[name].load(source, tmp_path)(POSITIVE)

    with pytest.raises(
        FormError, match=rf"needs a C\+\+ compiler {where}, and there is none: install g\+\+"
    ) as refused:
        answer()
    assert "\n" not in str(refused.value)
    torch._dynamo.reset()


@pytest.mark.slow
def test_a_trace_that_errs_in_silence_is_found_by_its_answers(tmp_path: Path) -> None:
    """The network whose depth depends on its input, traced with a digit that leaves it early, is not timed."""
    real_model("adaptive")
    done = run(root(), "forms", "adaptive", "--forms", "traced", "--out", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "answers wrongly: traced differs from the reference" in done.stdout
    (traced,) = json.loads((tmp_path / "adaptive.json").read_text(encoding="utf-8"))["forms"]
    (answered,) = traced["rounds"]
    assert answered["difference"] is None
    assert answered["timings"] == []  # parity before speed
    assert (tmp_path / "adaptive.md").read_text(encoding="utf-8") in done.stdout


def test_a_form_that_cannot_be_made_of_a_model_ends_its_build(tmp_path: Path) -> None:
    """`build --forms aotinductor` of a network that decides by its input says so, and makes nothing that is wrong."""
    folder = real_model("adaptive")
    source = sources.of_artifact("torch", folder, read(folder))
    with pytest.raises(ExportError, match="no aotinductor form of this model: GuardOnDataDependentSymNode"):
        deployed.build("aotinductor", source, tmp_path)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which(os.environ.get("CXX", "g++")), reason="AOTInductor needs a C++ compiler")
def test_machine_code_is_built_checked_and_served(root: Path, servers: Mapping[str, Server]) -> None:
    """It lies in the artifact with its sha256, passes parity like every export, and Flask answers with it."""
    done = run(root, "build", "digits", "--seeds", "1", "--forms", "aotinductor")
    assert (done.returncode, done.stderr) == (0, "")
    assert "built the form aotinductor" in done.stdout
    assert "aotinductor " in next(line for line in done.stdout.splitlines() if "parity" in line)
    assert "forms/aotinductor/model.pt2" in read(root / "digits" / "1").files
    artifact = load_artifact("digits", root)
    running = start_local(servers["flask_server:aotinductor"], artifact, UNPINNED, any_port=True)
    try:
        answers = [running.predict(body).json["predictions"] for body in artifact.bodies(3)]
        assert running.effective()["model"]["runtime"]["form"] == "aotinductor"
    finally:
        running.stop()
    np.testing.assert_allclose(
        np.concatenate(answers), artifact.golden.outputs["probabilities"], rtol=0, atol=artifact.tolerance
    )


def test_an_unknown_form_is_refused(root: Path) -> None:
    """Each command names those there are, before it does anything."""
    with pytest.raises(FormError, match=r"unknown form 'turbo'; known: eager, compiled, exported"):
        select("eager,turbo")
    done = run(root, "build", "digits", "--forms", "traced")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ("error: an artifact can hold no form 'traced' beside the eager one, only aotinductor\n")


def test_the_table_tells_what_was_found() -> None:
    """Of several rounds the median and the range; what is wrong or refused has no time, and its reason stands below."""
    timings = ForwardTiming("torch", 1, 9, 0.2, 0.3, 0.2), ForwardTiming("torch", 32, 9, 11_500.4, 11_600.0, 11_500.0)
    one = Answered(1.0, 0.5, 1e-7, "", {1: "", 8: "too many"}, timings, 2**20)
    good = Finding(form="a", title="A", framework="torch", rounds=(one, replace(one, first_answer_s=0.7)))
    bad = replace(good, form="b", title="B", rounds=(replace(one, difference=None, fault="off", timings=()),))
    none = Finding(form="c", title="C", framework="torch", refused="cannot be")
    text = render(
        Findings(workload="w", version=1, command="x", date="today", machine="m", versions={}, forms=[good, bad, none])
    )
    rows = {row.split(" | ")[0]: row.split(" | ") for row in text.splitlines() if row.startswith("| ")}
    assert rows["| A"][5:7] == ["0.6 (0.5 to 0.7)", "0.2 (0.2 to 0.2)"]
    assert "The median of the rounds" in text
    assert rows["| A"][8] == "11,500 (11,500 to 11,500)"
    assert rows["| A"][11] == "not 8"
    assert (rows["| B"][6], rows["| B"][10]) == ("-", "**wrong**")
    assert rows["| C"][2] == "refused"
    for note in ("- A: batch 8: too many", "- B: wrong: off", "- C: refused: cannot be"):
        assert note in text.splitlines()


def test_the_graph_takes_every_length_of_the_contract() -> None:
    """Exported from a sentence of one length, it answers the shortest and the longest like the code it came from."""
    folder = real_model("minilm")
    manifest = read(folder)
    source = sources.of_artifact("torch", folder, manifest)
    graph = over_torch(program(source).module(), source)
    code = read_back.torch_form(folder / "torch")
    for length in manifest.inputs[0].lengths or ():
        ids = np.random.default_rng(length).integers(200, 20_000, (3, length))
        ids[:, 0] = 101
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        np.testing.assert_allclose(graph(inputs)["embedding"], code(inputs)["embedding"], atol=1e-6)


def test_a_refusal_has_its_reason() -> None:
    """What torch.export says of a length that a model cannot have stands in a list below its first line."""

    class Pairs(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, 1:] * x[:, :-1]

    varying = TensorSpec("x", "float32", (None,), lengths=(2, 9))
    source = Source(lambda: Pairs().eval(), (varying,), (varying,), {"x": np.ones((2, 6), np.float32)})
    with pytest.raises(torch._dynamo.exc.UserError) as refused:
        program(source)
    line = told(refused.value)
    assert "\n" not in line
    assert line.startswith("UserError: Constraints violated (length)!")
    assert " - Not all values of length" in line
