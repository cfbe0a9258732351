"""`report`, `diff --out` and the thresholds of `compare`, as processes of their own."""

import json
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from loadtest.cli import cli
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.result_file import ResultFile
from loadtest.records import to_json
from loadtest.report.reading import write_results
from loadtest.report.thresholds import read_thresholds
from tests.report.samples import SAMPLE, SETUP

ROOT = Path(__file__).resolve().parents[2]


def loadtest(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    command = [sys.executable, "-m", "loadtest", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=120)


def refusal(*arguments: object) -> str:
    """The one line with which a command refuses."""
    done = loadtest(*arguments)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the sample's result.json and setup.json."""
    (tmp_path / "result.json").write_bytes(SAMPLE.read_bytes())
    (tmp_path / "setup.json").write_bytes(SETUP.read_bytes())
    return tmp_path


def test_report_renders_a_result_again(folder: Path) -> None:
    """The folder gets the page, and the text with every picture that it names."""
    done = loadtest("report", folder)
    assert done.returncode == 0, done.stderr
    page = (folder / "report.html").read_text(encoding="utf-8")
    text = (folder / "report.md").read_text(encoding="utf-8")
    pictures = [line.rpartition("(")[2].rstrip(")") for line in text.splitlines() if line.startswith("![")]
    assert len(pictures) >= 4
    for picture in pictures:
        assert ElementTree.fromstring((folder / picture).read_bytes()).tag.endswith("svg")
    assert "<h2" in page
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert loadtest("report", folder / "result.json").returncode == 0
    assert {path: path.read_bytes() for path in before} == before, "the same result gives the same report"


def test_the_text_holds_the_ease_of_setup(folder: Path) -> None:
    """report.md has a row for each count and capability, with each server's cell; without setup.json it has none."""
    assert loadtest("report", folder).returncode == 0
    text = (folder / "report.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    cells = {row[0]: row[1:] for row in rows}
    servers = json.loads(SETUP.read_text(encoding="utf-8"))["servers"].values()
    marks = [" (stand-in)" if server["stands_in_for"] else "" for server in servers]
    counts = [f"{server['size']['packages']['count']}{mark}" for server, mark in zip(servers, marks, strict=True)]
    assert sorted(cells["packages"]) == sorted(counts)
    for index, first in enumerate(next(iter(servers))["capabilities"]):
        answers = [cell.split()[0] for cell in cells[first["title"]]]
        expected = ["yes" if server["capabilities"][index]["supported"] else "no" for server in servers]
        assert sorted(answers) == sorted(expected), first["title"]
    tried = text.partition("### Capabilities, tried out")[2]
    embedded = tried.strip().splitlines()[0].strip("| ").split(" | ").index("TF Serving API (embedded)")
    assert cells["SIGTERM loses no request"][embedded] == "yes (stand-in)"
    assert "(stand-in)" not in cells["arm64"][embedded]
    assert sum("(stand-in)" in cell for row in cells.values() for cell in row) == 18
    assert "TF Serving API (embedded) stands in for TensorFlow Serving: cells marked (stand-in) are its own" in text
    assert "archived" in text.lower()
    assert "(figures/setup-warm.svg)" in text
    (folder / "setup.json").unlink()
    assert loadtest("report", folder).returncode == 0
    assert "| packages |" not in (folder / "report.md").read_text(encoding="utf-8")


def test_thresholds_decide_the_exit_code(folder: Path) -> None:
    """Thresholds on a result that is there: kept ones pass; one that is not kept fails with its line and in the XML."""
    key = "flask_server"
    kept, broken = f"{key}.memory<100GiB", f"{key}.memory<1MiB"
    assert loadtest("report", folder, "--assert", kept).returncode == 0
    (folder / "limits.txt").write_text(f"# limits\n{broken}\n", encoding="utf-8")
    junit = folder / "made" / "junit.xml"
    done = loadtest("report", folder, "--assert", kept, "--assert-file", folder / "limits.txt", "--junit", junit)
    assert done.returncode == 1
    assert f"FAILED: {broken}" in done.stdout
    assert f"passed: {kept}" in done.stdout
    assert ElementTree.parse(junit).getroot().attrib["failures"] == "1"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--assert", "flask_server.p99<20"], "written in us or ms or s"),
        (["--assert", "nobody.p99<20ms"], "nobody is not in this comparison"),
        (["--assert", "flask_server.capacity>9"], "--slo"),
        (["--assert-file", "no/such/file"], "cannot read"),
        (["--junit", "junit.xml"], "--junit needs a threshold"),
    ],
)
def test_compare_refuses_thresholds_before_it_measures(tmp_path: Path, options: list[str], told: str) -> None:
    """What cannot be judged afterwards is refused at once: nothing is started and nothing is written."""
    out = tmp_path / "out"
    assert told in refusal("compare", "--servers", "flask_server", "--out", out, *options)
    assert not out.exists()


def broken_files(comparison: ComparisonResult) -> dict[str, str]:
    """Texts that are no result.json, by what is wrong with them."""
    document = json.loads(to_json(ResultFile([comparison])))
    (inner,) = document["comparisons"]
    old = json.loads(SAMPLE.read_bytes())
    return {
        "is no JSON": "{",
        "is not what loadtest wrote": "[]",
        "is not the result.json of a comparison": json.dumps({"kind": "setup"}),
        "has schema 99; this release reads 1 to 4": json.dumps(document | {"schema_version": 99}),
        "holds no comparison": json.dumps(document | {"comparisons": []}),
        "Expected `array`, got `str` - at `$.comparisons[0].servers`": json.dumps(
            document | {"comparisons": [inner | {"servers": "many"}]}
        ),
        "missing required field `plan`": json.dumps(
            document | {"comparisons": [{name: value for name, value in inner.items() if name != "plan"}]}
        ),
        "does not keep schema 1": json.dumps({name: value for name, value in old.items() if name != "floor"}),
        "missing required field `host`": json.dumps({name: value for name, value in old.items() if name != "host"}),
    }


def test_report_refuses_what_is_no_result(tmp_path: Path, comparison: ComparisonResult) -> None:
    """Every kind of wrong file is refused in one line that says what is wrong with it."""
    assert "cannot read" in refusal("report", tmp_path)
    for told, text in broken_files(comparison).items():
        (tmp_path / "result.json").write_text(text, encoding="utf-8")
        assert told in refusal("report", tmp_path)


def test_report_refuses_a_folder_that_cannot_be_written(folder: Path) -> None:
    """A file in the place of the folder is told in one line."""
    (folder / "taken").write_text("", encoding="utf-8")
    assert "cannot write to" in refusal("report", folder, "--out", folder / "taken")


def test_names_of_later_releases_are_read(folder: Path, comparison: ComparisonResult) -> None:
    """A name that this release does not know keeps no file from being read."""
    document = json.loads(to_json(ResultFile([comparison])))
    document["comparisons"][0]["servers"][0]["rounds"][0]["open_loop"]["colour"] = "blue"
    (folder / "result.json").write_text(json.dumps(document), encoding="utf-8")
    assert loadtest("report", folder).returncode == 0


def test_setup_beside_the_result_is_checked(folder: Path) -> None:
    """A setup.json that is none is refused with what to do, and none at all is said in section 6."""
    (folder / "setup.json").write_text("{}", encoding="utf-8")
    assert "measure again, or move it away" in refusal("report", folder)
    (folder / "setup.json").unlink()
    assert loadtest("report", folder).returncode == 0
    assert "loadtest setup --out DIR" in (folder / "report.html").read_text(encoding="utf-8")


def test_diff_writes_page_text_and_data(folder: Path, comparison: ComparisonResult) -> None:
    """A server that became twice as slow is worse, with the ratio in all three files and on the terminal."""
    slower = folder / "slower"
    slower.mkdir()
    for server in comparison.servers:
        server.rounds = [
            replace(one, closed_loop=replace(one.closed_loop, throughput_rps=one.closed_loop.throughput_rps / 1000))
            for one in server.rounds
        ]
    write_results(ResultFile([comparison]), slower)
    done = loadtest("diff", folder, slower, "--out", folder / "diff")
    assert done.returncode == 0, done.stderr
    assert "worse" in done.stdout
    data: dict[str, Any] = json.loads((folder / "diff" / "diff.json").read_bytes())
    ceilings = [change for change in data["comparisons"][0]["changes"] if change["measure"] == "ceiling"]
    assert len(ceilings) == len(comparison.servers)
    for change in ceilings:
        assert change["ratio"]["value"] == pytest.approx(0.001, abs=1e-6)
    text = (folder / "diff" / "diff.md").read_text(encoding="utf-8")
    assert "Worse: " in text
    assert "0.001" in text
    assert "Worse: " in (folder / "diff" / "diff.html").read_text(encoding="utf-8")


def test_workflow_example_can_be_used_as_it_stands() -> None:
    """Every option of the sample workflow's command exists, and every threshold in it can be read."""
    yaml = pytest.importorskip("yaml")
    workflow = yaml.safe_load((ROOT / "docs" / "ci-example.yml").read_text(encoding="utf-8"))
    steps = workflow["jobs"]["gate"]["steps"]
    (command,) = [step["run"] for step in steps if "scripts/compare" in step.get("run", "")]
    words = shlex.split(command)
    known = {option for parameter in cli.commands["compare"].params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
    servers = words[words.index("--servers") + 1].split(",")
    texts = [words[at + 1] for at, word in enumerate(words) if word == "--assert"]
    assert len(read_thresholds(texts, {"digits": servers}, searched=False)) == len(texts) > 1
