"""A comparison that was ended: what was measured is shown, and what is missing is told."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from loadtest.errors import UsageError
from loadtest.judge.entries import Resumed
from loadtest.judge.entry_lines import entry_schema, to_entry_line
from loadtest.judge.runs_record import RunsRecord
from loadtest.report import write_report
from loadtest.report.reading import RESULT, Results, read_results, write_results
from loadtest.report.runs_file import RUNS, read_runs
from loadtest.report.table import remarks
from tests.experiments.virtual_record import PLAN, whole


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The lines of a comparison of two rounds of two servers; a third one never starts."""
    return whole(PLAN, monkeypatch)[1]


def after(lines: list[bytes], *marks: bytes) -> int:
    """How many lines there are up to the first one that holds all of the marks."""
    return 1 + next(number for number, line in enumerate(lines) if all(mark in line for mark in marks))


def written(folder: Path, lines: list[bytes], rest: bytes = b"") -> Results:
    """What is read from a folder with a runs.jsonl."""
    (folder / RUNS).write_bytes(b"".join(line + b"\n" for line in lines) + rest)
    return read_results(folder)


def told(results: Results, folder: Path) -> tuple[str, str]:
    """The page and the text of a result, both on one line."""
    page, text = write_report(results, folder)
    return tuple(" ".join(one.read_text(encoding="utf-8").split()) for one in (page, text))  # type: ignore[return-value]


def test_a_killed_comparison_is_reported_with_what_is_missing(tmp_path: Path, lines: list[bytes]) -> None:
    """Killed in the second round: page and text name the rounds that lack, and the run that is in no number."""
    most = after(lines, b"RunEnded", b'"round":2', b"open_loop")
    under_way = json.loads(lines[most - 1])["server"]
    results = written(tmp_path, lines[:most], b'{"what":"RunEnded","comp')
    assert not (tmp_path / RESULT).exists()
    comparison = results.only.comparison
    assert [len(server.rounds) for server in comparison.servers] == [1, 1, 0]
    assert [row.rounds for row in comparison.summary] == [1, 1, 0]
    for text in told(results, tmp_path):
        assert "one: no round 2 of 2" in text
        assert "two: no round 2 of 2" in text
        assert "gone: no round" not in text, "the gate kept it out"
        assert f"{under_way} was being measured" in text
        assert "in no number (round 2, open loop)" in text
        assert "the last line of runs.jsonl was cut short" in text


@pytest.mark.parametrize(
    ("marks", "missing"),
    [
        ((b"Answers", b'"server":"one"'), ["one: its gate was not ended", "two: not begun", "gone: not begun"]),
        ((b"TurnEnded", b'"gate"', b'"server":"one"'), ["one: no rounds 1 and 2 of 2", "two: not begun"]),
    ],
)
def test_a_comparison_that_was_killed_at_the_gate_is_reported(
    tmp_path: Path, lines: list[bytes], marks: tuple[bytes, ...], missing: list[str]
) -> None:
    """Contenders that were not begun are named; there is no figure, and that is no failure."""
    results = written(tmp_path, lines[: after(lines, *marks)])
    for text in told(results, tmp_path):
        assert all(one in text for one in missing)


def test_a_record_with_nothing_in_it_says_how_to_go_on(tmp_path: Path, lines: list[bytes]) -> None:
    """Nothing was measured yet, or the file is none."""
    with pytest.raises(UsageError, match="holds no comparison yet: loadtest compare --resume"):
        written(tmp_path, lines[:2])
    with pytest.raises(UsageError, match="holds nothing"):
        written(tmp_path, [], b'{"what":"Hea')
    for broken, words in (
        ([lines[1]], "does not begin as"),
        ([lines[0], b"{"], "line 2 of .* is not JSON"),
        ([lines[0], lines[3]], "line 2 of .* does not follow from those before it"),
        ([lines[0].replace(b'"schema_version":1', b'"schema_version":9')], "has schema 9; this release reads 1"),
    ):
        with pytest.raises(UsageError, match=words):
            written(tmp_path, broken)


def test_every_line_keeps_its_schema(lines: list[bytes]) -> None:
    """What `loadtest schema runs.jsonl` prints describes each line that is written, and no other."""
    schema = entry_schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert len({json.loads(line)["what"] for line in lines}) > 8
    for line in lines:
        assert validator.is_valid(json.loads(line)), line[:100]
    assert not validator.is_valid({"what": "Painted"})
    assert not validator.is_valid({"what": "Failed", "comparison": "digits"})


def test_lines_of_later_releases_are_passed_over(lines: list[bytes]) -> None:
    """A kind of line that this release does not know keeps no file from being read."""
    record = RunsRecord.read([lines[0], b'{"what":"Painted","colour":"blue"}', *lines[1:]], "it")
    assert record.finished
    assert record.lines == len(lines) + 1


def test_the_newer_of_the_two_files_is_read(tmp_path: Path, lines: list[bytes]) -> None:
    """result.json counts the lines that it was made from; a damaged or another comparison's one is not believed."""
    written(tmp_path, lines)
    write_results(read_runs(tmp_path / RUNS).record.result_file(), tmp_path)
    document = json.loads((tmp_path / RESULT).read_bytes())
    document["comparisons"][0]["took_s"] = 4321.0
    (tmp_path / RESULT).write_text(json.dumps(document), encoding="utf-8")
    assert read_results(tmp_path).only.comparison.took_s == 4321.0, "it holds all that runs.jsonl does"
    further = to_entry_line(Resumed("2026-01-01T00:00:00+00:00"))
    assert written(tmp_path, [*lines, further]).only.comparison.took_s != 4321.0
    assert written(tmp_path, lines).only.comparison.took_s == 4321.0
    other = lines[0].replace(b'"started_at":""', b'"started_at":"later"')
    assert written(tmp_path, [other, *lines[1:-1]]).only.comparison.took_s != 4321.0
    (tmp_path / RESULT).write_bytes((tmp_path / RESULT).read_bytes()[:1_000])
    (remark,) = written(tmp_path, lines).remarks
    assert remark.startswith("made from runs.jsonl, since ")
    assert "is no JSON" in remark


def test_a_damaged_record_leaves_the_result(tmp_path: Path, lines: list[bytes]) -> None:
    """Where runs.jsonl cannot be read, result.json is, with a remark."""
    written(tmp_path, lines)
    write_results(read_runs(tmp_path / RUNS).record.result_file(), tmp_path)
    results = written(tmp_path, [*lines[:4], b"{}{}", *lines[4:]])
    (remark,) = results.remarks
    assert "may be older than runs.jsonl, since line 5 of" in remark
    assert results.only.comparison.complete


def test_that_it_was_resumed_is_told(tmp_path: Path, lines: list[bytes]) -> None:
    """When, and how often, in page and text."""
    at = after(lines, b"TurnEnded", b'"round":1')
    times = ["2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"]
    results = written(tmp_path, [*lines[:at], *(to_entry_line(Resumed(one)) for one in times), *lines[at:]])
    assert results.only.comparison.complete
    for text in told(results, tmp_path):
        assert f"resumed 2 times after it had been ended (at {', '.join(times)})" in text
    assert not any("missing" in line for line in remarks(results.only.comparison))
