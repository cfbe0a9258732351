"""The section 'Beyond servers': what became of a model's exports to phones and browsers."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from loadtest.report import write_report
from loadtest.report.reading import read_results
from loadtest.servers.exported_model import Exported, ExportedModel, Made, Right, Round
from tests.report.samples import SAMPLE

MODEL = ExportedModel(
    workload="digits",
    version=1,
    command="python -m models devices digits --out here/devices",
    date="2026-11-27",
    machine="a <fast> processor, 2 cores",
    versions={"python": "3.11.7"},
    exports=[
        Exported(
            name="torch",
            title="PyTorch, on the server",
            framework="torch",
            on_server=True,
            made=Made(None, 1_048_576),
            right=Right(1e-7, 0.99, 100, None, 1.0),
            rounds=(Round(2.0, 0.4, 100, None),),
        ),
        Exported(
            name="onnx",
            title="ONNX",
            framework="torch",
            made=Made(8.5, 1_048_576),
            right=Right(2e-7, 0.99, 100, None, 1.0),
            rounds=(Round(0.1, 0.1, 900, None),),
        ),
        Exported(name="executorch", title="ExecuTorch", framework="torch", refused="no operator for <that>"),
    ],
)

Write = Callable[..., Path]


@pytest.fixture
def result(tmp_path: Path) -> Write:
    """Makes the folder of a result with what became of exports."""

    def made(**changes: Any) -> Path:
        (tmp_path / "result.json").write_bytes(SAMPLE.read_bytes())
        (tmp_path / "devices").mkdir()
        (tmp_path / "devices" / "digits.json").write_text(json.dumps(asdict(MODEL) | changes), encoding="utf-8")
        return tmp_path

    return made


def test_the_page_and_the_text_have_the_table(result: Write) -> None:
    """A row for each export, the ratio to the server's form, and below it what there is none of, escaped."""
    folder = result()
    page, text = (path.read_text(encoding="utf-8") for path in write_report(read_results(folder), folder))
    section = page[page.index('<h2 id="exports-section">') :]
    assert '<a href="#exports-section">' in page
    assert '<td data-label="of its framework&#39;s on the server">0.25</td>' in section
    assert "<li>ExecuTorch: no operator for &lt;that&gt;</li>" in section
    assert "a &lt;fast&gt; processor" in section
    assert "## Beyond servers: digits" in text
    assert "- ExecuTorch: no operator for <that>" in text


def test_without_exports_there_is_no_section(tmp_path: Path) -> None:
    """An older result, or one whose model was not exported."""
    (tmp_path / "result.json").write_bytes(SAMPLE.read_bytes())
    page, text = (path.read_text(encoding="utf-8") for path in write_report(read_results(tmp_path), tmp_path))
    assert "exports-section" not in page
    assert "Beyond servers" not in text


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({"version": 2}, ""),
        ({"schema_version": 9}, "has schema 9; this release reads 1"),
        ({"exports": "none"}, "nothing is told of exports"),
    ],
)
def test_what_does_not_belong_to_the_result_is_left_out(result: Write, changes: dict[str, Any], remark: str) -> None:
    """Another version of the model is not that of the result; what cannot be read is a remark, not a failure."""
    results = read_results(result(**changes))
    assert results.exported == {}
    assert [remark in one for one in results.remarks] == [True] * bool(remark)
