"""The section 'The model': what it is, how it learned, what it gets wrong, with the pictures of the artifact."""

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadtest.errors import UsageError
from loadtest.records import from_json
from loadtest.report import write_report
from loadtest.report.figures import draw
from loadtest.report.model_wording import model_sentences
from loadtest.report.page import render_page
from loadtest.report.reading import Results, read_results
from loadtest.servers.artifact import Artifact
from loadtest.servers.model_record import ModelFacts, ModelRecord, read_model, read_models, write_model
from tests.report.samples import SAMPLE

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} 100"><title>{}</title></svg>'
FACTS: dict[str, Any] = {
    "schema_version": 1,
    "workload": "digits",
    "version": 1,
    "description": "Which digit it is.",
    "parameters": 38_282,
    "layers": [
        {"kind": "Conv2d", "count": 2, "parameters": 4_800},
        {"kind": "Linear", "count": 2, "parameters": 33_482},
    ],
    "quality": {"name": "accuracy", "value": 0.99, "held_out": 360},
    "seed": 0,
    "trainings": [
        {
            "seed": seed,
            "settings": {"epochs": 40, "learning_rate": 0.003},
            "examples": 1437,
            "steps": 920,
            "loss": 0.3,
            "accuracy": 1.0,
            "held_out_loss": 0.35,
            "held_out_accuracy": accuracy,
        }
        for seed, accuracy in ((0, 0.99), (1, 0.98))
    ],
    "classified": {
        "mistakes": 3,
        "classes": ["3", "<8>"],
        "confusion": [[1, 2], [1, 3]],
        "hardest": [
            {"example": 1, "said": "<8>", "score": 0.6, "right": "3", "score_of_right": 0.1},
            {"example": 2, "said": "3", "score": 0.6, "right": "3", "score_of_right": 0.6},
        ],
    },
    "pictures": [{"file": "learning.svg", "title": "How it learned"}, {"file": "map.svg", "title": "A map"}],
}

Write = Callable[..., Path]


@pytest.fixture
def result(tmp_path: Path) -> Write:
    """Makes the folder of a result that tells something of its model."""

    def made(**changes: Any) -> Path:
        (tmp_path / "result.json").write_bytes(SAMPLE.read_bytes())
        folder = tmp_path / "model" / "digits"
        folder.mkdir(parents=True)
        (folder / "model.json").write_text(json.dumps(FACTS | changes), encoding="utf-8")
        for name, width in (("learning", 300), ("map", 100)):
            (folder / f"{name}.svg").write_text(SVG.format(width, name), encoding="utf-8")
        return tmp_path

    return made


def record(**changes: Any) -> ModelRecord:
    """What a model.json tells."""
    text = json.dumps(FACTS | changes)
    return ModelRecord(from_json(text.encode(), ModelFacts, "model.json"), text)


def test_the_page_and_the_text_tell_of_the_model(result: Write) -> None:
    """Sentences with what stands in them escaped, each picture inside the page, and its file beside the text."""
    folder = result()
    page, text = (path.read_text(encoding="utf-8") for path in write_report(read_results(folder), folder))
    section = page[page.index('<h2 id="model-section">') :]
    assert "3 taken for &lt;8&gt;" in section
    assert '<a href="#model-section">' in page
    drawn = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)" alt="([^"]+)"( class="wide")?', section)
    assert [(alt, bool(wide)) for _, alt, wide in drawn] == [
        ("How it learned: digits v1", True),
        ("A map: digits v1", False),
    ]
    assert base64.b64decode(drawn[0][0]).decode() == SVG.format(300, "learning")
    assert "## The model: digits v1" in text
    assert "![A map](model/digits/map.svg)" in text


def test_a_report_elsewhere_has_the_pictures_too(result: Write, tmp_path: Path) -> None:
    """So that the paths in its text lead somewhere, and it can be written again from there."""
    folder, out = result(), tmp_path / "elsewhere"
    out.mkdir()
    write_report(read_results(folder), out)
    assert read_model(out / "model" / "digits") == read_model(folder / "model" / "digits")


def test_a_result_that_tells_nothing_has_no_section(tmp_path: Path) -> None:
    """An older one, or one of an artifact without figures."""
    (tmp_path / "result.json").write_bytes(SAMPLE.read_bytes())
    results = read_results(tmp_path)
    page, text = (path.read_text(encoding="utf-8") for path in write_report(results, tmp_path))
    assert results.models == {}
    assert "model-section" not in page
    assert "## The model" not in text
    assert not (tmp_path / "model").exists()


def test_another_version_is_not_told_of(result: Write) -> None:
    """What lies there of an earlier comparison says nothing of the model that was measured."""
    assert read_results(result(version=2)).models == {}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"schema_version": 9}, "has schema 9; this release reads 1"),
        ({"parameters": "many"}, "does not keep its schema"),
        ({"pictures": [{"file": "../../result.json", "title": "x"}]}, "names '../../result.json', which is no picture"),
        ({"pictures": [{"file": "gone.svg", "title": "x"}]}, "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_a_remark(result: Write, changes: dict[str, Any], told: str) -> None:
    """The report is written without it, and says why; where it is asked for alone it is an error."""
    folder = result(**changes)
    results = read_results(folder)
    assert results.models == {}
    (remark,) = results.remarks
    assert remark.startswith("nothing is told of the model: ")
    assert told in remark
    with pytest.raises(UsageError, match=re.escape(told)):
        read_model(folder / "model" / "digits")


def test_two_models_have_a_part_each(result: Write) -> None:
    """Under their names, in one section."""
    models = {name: record(workload=name, pictures=[]) for name in "ab"}
    results = Results(read_results(result()).documents, models=models)
    page = render_page(results, draw(results))
    section = page[page.index('<h2 id="model-section">') :]
    assert section.index("<h3>a v1</h3>") < section.index("<h3>b v1</h3>")


def test_the_sentences() -> None:
    """Of a trained classifier all three; of a model whose training was not recorded that, and no classes."""
    assert model_sentences(record()) == {
        "What it is": "Which digit it is. 38,282 parameters in 4 layers with parameters of their own (2 Conv2d and "
        "2 Linear). On 360 held-out examples, accuracy 0.9900.",
        "How it learned": "From 1,437 examples in 920 steps (epochs 40, learning rate 0.003). At the end its loss was "
        "0.300 in training and 0.350 on held-out examples, its accuracy 1.0000 and 0.9900. What is chance: with the "
        "seeds 0 and 1 the held-out accuracy is 0.9900 and 0.9800.",
        "What it gets wrong": "3 of 360 held-out examples got another class than their own: 3 taken for <8>.",
    }
    other = model_sentences(record(trainings=[], classified=None, layers=[]))
    assert other["What it is"].startswith("Which digit it is. 38,282 parameters. On 360")
    assert other["How it learned"] == "No training of it is recorded."
    assert "What it gets wrong" not in other
    perfect = model_sentences(record(classified={"mistakes": 0, "hardest": []}))
    assert perfect["What it gets wrong"] == "0 of 360 held-out examples got another class than their own."


def test_the_artifact_tells_what_the_report_reads(artifact: Artifact, tmp_path: Path) -> None:
    """What was built is kept in a result as it is, and read back."""
    built = read_model(artifact.folder / "figures")
    assert built is not None
    write_model(built, tmp_path)
    assert read_models(tmp_path, {"digits": artifact.version}) == ({"digits": built}, [])
    assert [one.seed for one in built.facts.trainings] == [0, 1, 2]
    assert all(svg.lstrip().startswith("<?xml") for svg in built.drawn.values())
