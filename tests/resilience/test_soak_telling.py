"""How a soak is kept and told: lines, summary, sentences, page, and what is read after a kill."""

import datetime
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from rich.console import Console

from loadtest.cli import cli
from loadtest.errors import UsageError
from loadtest.judge.findings import CLIENT_CPU, Finding
from loadtest.machine.host import describe_host
from loadtest.records import json_schema
from loadtest.report import write_report, write_resilience_report
from loadtest.report.reading import read_results
from loadtest.report.soak_table import rich_soak
from loadtest.report.soak_wording import soak_sentences
from loadtest.resilience.resilience_file import write_resilience
from loadtest.resilience.soak import SoakPlan
from loadtest.resilience.soak_file import (
    Line,
    Sampled,
    ServerBegun,
    ServerEnded,
    SoakBegun,
    SoakFile,
    SoakWriter,
    line_schema,
    read_soak,
)
from loadtest.resilience.soak_sample import SoakSample, SoakTotals
from tests.report.samples import SAMPLE
from tests.resilience.samples import sample as resilience

BEGUN = SoakBegun(
    date=datetime.datetime(2026, 11, 27, 10, 0, tzinfo=datetime.UTC),
    command=("soak",),
    host=describe_host(),
    launcher={"launcher": "local"},
    workload="digits",
    version="1",
)
SAMPLES = 100
TOTALS = SoakTotals(500.0, 999_990, 3, {"timeout": 5}, {"http_503": 2}, 2.5, 8.25, [])


def at(number: int, leak_mib: float = 0.0, descriptors: int | None = 30) -> SoakSample:
    """One of a hundred samples of five seconds, of a server that keeps so much more in each."""
    wave = math.sin(1.7 * number)
    return SoakSample(
        at_s=5.0 * (number + 1),
        right=10_000 * (number + 1),
        wrong=0,
        errors={},
        rate=2_000 + wave,
        p50_ms=2.5,
        p99_ms=8 + 0.1 * wave,
        resident_mib=250.0,
        own_mib=200 + leak_mib * number + 0.1 * wave,
        descriptors=descriptors,
        threads=12,
        processes=2,
    )


def lines_of(key: str, label: str, totals: SoakTotals | None, **options: Any) -> list[Line]:
    """A server from its first sample to its end, or to the last sample."""
    begun = ServerBegun(key, label, None, "rest", SoakPlan(), 2_100.0)
    ended = [ServerEnded(totals)] if totals else []
    return [begun, *(Sampled(at(number, **options)) for number in range(SAMPLES)), *ended]


def keep(folder: Path, *lines: Line) -> SoakFile:
    """Write the lines as the command does, and the summary."""
    with SoakWriter(folder, BEGUN) as writer:
        for line in lines:
            writer.add(line)
        return writer.summarise()


@pytest.fixture
def kept(tmp_path: Path) -> SoakFile:
    """A server that leaks and errs, one that does neither but was cut short, and one that did not start."""
    return keep(
        tmp_path,
        *lines_of("leaks", "Leaking server", TOTALS, leak_mib=0.5),
        *lines_of("holds", "Holding [server]", None, descriptors=None),
        ServerBegun("dead", "Dead server", None, "rest", SoakPlan(), math.nan),
        ServerEnded(fault="dead ended with SIGABRT"),
    )


def test_each_server_is_told_in_sentences(kept: SoakFile) -> None:
    """What became of the requests, what grew, and what could not be counted."""
    leaks, holds, dead = map(soak_sentences, kept.servers.values())
    assert leaks[0] == (
        "999,990 of 1,000,000 answers right in 8.3 minutes, 3 wrong, 5 lost, 2 refused (5 timeout, 2 http_503)."
    )
    assert any(line.startswith("Memory grows by 360 [") and "50.0 [" in line for line in leaks)
    assert any(line.startswith("No growth of open descriptors can be told (0 [0 to 0]") for line in leaks)
    assert holds[:2] == [
        "1,000,000 of 1,000,000 answers right in 8.3 minutes, 0 wrong, 0 lost, 0 refused.",
        "It was cut short.",
    ]
    assert "Open descriptors could not be counted." in holds
    assert any(line.startswith("No growth of memory can be told") for line in holds)
    assert dead == ["No request was counted.", "It came to no end: dead ended with SIGABRT."]
    assert [one.passed for one in kept.servers.values()] == [False, False, False]


def test_only_right_and_refused_answers_pass(kept: SoakFile) -> None:
    """A wrong or a lost one does not; what the client spoiled is said and is no fault of the server."""
    found = replace(kept.servers["leaks"], totals=replace(TOTALS, wrong=0, lost={}))
    assert found.passed
    assert not replace(found, totals=replace(TOTALS, lost={})).passed
    assert not replace(found, totals=replace(TOTALS, wrong=0)).passed
    spoiled = replace(found, totals=replace(TOTALS, faults=[Finding(CLIENT_CPU, {"share": 0.97})]))
    assert any(
        "Its times are not to be believed: the client used 97% of its core" in one for one in soak_sentences(spoiled)
    )


def test_a_killed_command_leaves_all_samples_but_the_one_under_way(kept: SoakFile, tmp_path: Path) -> None:
    """The lines are read where they are there, whole ones alone; the report says that it was cut short."""
    with (tmp_path / "soak.jsonl").open("ab") as file:
        file.write(b'{"what":"Sampled","sam')
    (tmp_path / "soak.json").unlink()
    again = read_soak(tmp_path)
    assert list(again.servers) == list(kept.servers) == ["leaks", "holds", "dead"]
    assert len(again.servers["holds"].samples) == SAMPLES
    done = CliRunner().invoke(cli, ["report", str(tmp_path)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "It was cut short." in (tmp_path / "soak.html").read_text()


def test_the_summary_alone_is_enough(kept: SoakFile, tmp_path: Path) -> None:
    """As it may be published: without its lines it tells the same."""
    (tmp_path / "soak.jsonl").unlink()
    again = read_soak(tmp_path)
    assert [soak_sentences(one) for one in again.servers.values()] == [
        soak_sentences(one) for one in kept.servers.values()
    ]
    Draft202012Validator(json_schema(SoakFile)).validate(json.loads((tmp_path / "soak.json").read_text()))


def test_every_line_keeps_its_schema(kept: SoakFile, tmp_path: Path) -> None:
    """The one that `loadtest schema soak.jsonl` prints."""
    printed = CliRunner().invoke(cli, ["schema", "soak.jsonl"], catch_exceptions=False).output
    assert json.loads(printed) == line_schema()
    validator = Draft202012Validator(line_schema())
    for line in (tmp_path / "soak.jsonl").read_bytes().splitlines()[::20]:
        validator.validate(json.loads(line))


def test_a_server_that_is_soaked_again_replaces_itself(kept: SoakFile, tmp_path: Path) -> None:
    """The others stay; another model or launcher needs another folder."""
    again = keep(tmp_path, *lines_of("holds", "Holding server", TOTALS))
    assert again.servers["holds"].finished
    assert again.servers["leaks"] == kept.servers["leaks"]
    with pytest.raises(UsageError, match="name another one with --out"):
        SoakWriter(tmp_path, replace(BEGUN, launcher={"launcher": "compose"}))


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    """The error names the file and the line."""
    (tmp_path / "soak.jsonl").write_text('{"what": "Sampled", "sample": 3}\n')
    with pytest.raises(UsageError, match=r"soak\.jsonl, line 1"):
        read_soak(tmp_path)
    (tmp_path / "soak.jsonl").write_text("")
    with pytest.raises(UsageError, match="no soak was begun"):
        read_soak(tmp_path)


def test_the_terminal_shows_counts_and_trends(kept: SoakFile) -> None:
    """A row for each server, and for each quantity that is known of it."""
    console = Console(width=120, record=True, file=None, quiet=False)
    with console.capture() as captured:
        for part in rich_soak(list(kept.servers.values())):
            console.print(part)
    text = captured.get()
    assert "Holding [server]" in text
    assert text.count("open descriptors") == 1
    assert text.count("grows") == 1


def test_alone_it_has_a_page_of_its_own(kept: SoakFile, tmp_path: Path) -> None:
    """With the sentences, the charts and the numbers; beside a resilience.json both are on one page."""
    page, text = write_resilience_report(tmp_path, tmp_path)
    assert (page.name, text.name) == ("soak.html", "soak.md")
    html, markdown = page.read_text(), text.read_text()
    for sentence in soak_sentences(kept.servers["leaks"]):
        assert sentence in html
    assert 'id="chart-night-memory"' in html
    assert "| Leaking server | memory, MiB |" in markdown
    assert (tmp_path / "figures" / "night-p99.svg").is_file()
    write_resilience(resilience(), tmp_path)
    page, text = write_resilience_report(tmp_path, tmp_path)
    assert page.name == "resilience.html"
    assert "Leaking server" in page.read_text()
    assert "At 3 times its capacity" in page.read_text()
    assert "## A long night" in text.read_text()


def test_beside_a_comparison_it_is_a_part_of_its_page(kept: SoakFile, tmp_path: Path) -> None:
    """Below what was tried out under fire."""
    shutil.copy(SAMPLE, tmp_path / "result.json")
    page, text = write_report(read_results(tmp_path), tmp_path)
    assert soak_sentences(kept.servers["leaks"])[0] in page.read_text()
    assert 'id="chart-night-memory"' in page.read_text()
    assert "## A long night" in text.read_text()
