import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from loadtest.cli import cli
from loadtest.errors import UsageError
from loadtest.report import write_report, write_resilience_report
from loadtest.report.fire_wording import left, other_errors, refused, sentences
from loadtest.report.reading import read_results
from loadtest.resilience.lost_requests import lost_and_refused
from loadtest.resilience.process_end import MAIN, MEMORY
from loadtest.resilience.resilience_file import Resilience, read_resilience, write_resilience
from loadtest.resilience.rollout_result import CORRUPT, OTHER_MODEL, Rollout, RolloutPlan
from tests.report.samples import SAMPLE
from tests.resilience.samples import end, sample, step


def test_each_server_is_told_in_two_sentences() -> None:
    """One on load and one on change, with what was lost, refused and left over."""
    holds, gives_way = sample().servers.values()
    assert sentences(holds) == [
        "At 3 times its capacity of 1,000 requests/s it answers 0.93 of that capacity in time (p99 80 ms), refuses"
        " 69% of the requests, and is itself again at once when the load drops; of the work on requests whose "
        "clients have left it still does 20% over rest; it survives 3 hostile requests and answers rightly after "
        "each kind of them.",
        "A new version answers alone after 0.7 s, the former one again after 0.6 s, with no request lost and no "
        "answer of both; it serves no broken version; a killed worker is replaced within 1.2 s and costs 7 "
        "requests in 3 times; SIGTERM costs no request; nothing is left over when its main process is killed.",
    ]
    assert sentences(gives_way) == [
        "At 3 times its capacity of 1,000 requests/s it answers 0.01 of that capacity in time, keeps 100% of the "
        "requests waiting until their clients leave, and is not itself again within the test when the load drops.",
        "A new version answers alone after 4.5 s, with 12 requests lost and no answer of both; it serves a corrupt"
        " next version; SIGTERM costs 3 requests in 3 times; 2 processes left over when its main process is "
        "killed.",
    ]


def test_another_model_that_takes_the_requests_is_told() -> None:
    """It calls every one of them wrong, and gives no answer that could be."""
    taken = replace(step(OTHER_MODEL), lost={"http_400": 380})
    found = Resilience("Takes any", rollout=Rollout(RolloutPlan(), "", [step(CORRUPT), taken], None, []))
    assert sentences(found) == ["It serves another model; 380 requests lost while one was tried."]


def test_what_something_starts_anew_is_told_with_the_time_it_took() -> None:
    """In a container the main process comes back too, and there is a memory limit to be reached."""
    back = [replace(end(ended, lost=2), recovered_s=4.0) for ended in (MAIN, MEMORY)]
    assert sentences(Resilience("In a container", crash=back)) == [
        "A killed main process is replaced within 4.0 s and costs 2 requests in 3 times; a process that the kernel "
        "ends at the memory limit is replaced within 4.0 s and costs 2 requests in 3 times."
    ]
    lives_on = Resilience("In a container", crash=[replace(end(MEMORY), held=3)])
    assert sentences(lives_on) == ["No process ends at the memory limit."]


def test_the_file_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """Every field, unknown and infinite numbers included."""
    path = write_resilience(sample(), tmp_path)
    again = read_resilience(path)
    write_resilience(again, tmp_path / "..")
    assert (tmp_path / ".." / path.name).read_bytes() == path.read_bytes()
    assert again.servers["gives_way"].overload is not None
    assert again.servers["gives_way"].overload.recovery_s == float("inf")


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    """The error names the file."""
    path = tmp_path / "resilience.json"
    path.write_text('{"kind": "setup"}')
    with pytest.raises(UsageError, match=r"resilience\.json"):
        read_resilience(path)


def test_alone_it_has_a_page_of_its_own(tmp_path: Path) -> None:
    """The page holds the sentences, the faults, the numbers and the charts."""
    file = sample()
    write_resilience(file, tmp_path)
    page, text = write_resilience_report(tmp_path, tmp_path)
    html, markdown = page.read_text(), text.read_text()
    for server in file.servers.values():
        for sentence in sentences(server):
            assert sentence in html
            assert sentence in markdown
    assert "leave was not tried out: it does not answer a large request" in html
    assert "a corrupt next version" in html
    assert 'id="chart-fire-goodput"' in html
    assert (tmp_path / "figures" / "fire-goodput.svg").is_file()


def test_report_renders_it_again(tmp_path: Path) -> None:
    """Into another folder; a threshold has nothing to be held against."""
    write_resilience(sample(), tmp_path)
    done = CliRunner().invoke(cli, ["report", str(tmp_path), "--out", str(tmp_path / "again")], catch_exceptions=False)
    assert done.exit_code == 0
    assert (tmp_path / "again" / "resilience.html").is_file()
    with pytest.raises(UsageError, match="holds no comparison"):
        CliRunner().invoke(cli, ["report", str(tmp_path), "--assert", "p99<5ms"], catch_exceptions=False)


def test_beside_a_comparison_it_is_a_section_of_its_page(tmp_path: Path) -> None:
    """A comparison's page and Markdown show it, and without it they say how to get it."""
    shutil.copy(SAMPLE, tmp_path / "result.json")
    page, _ = write_report(read_results(tmp_path), tmp_path)
    assert "Not tried out here: <code>loadtest resilience --out DIR</code>" in page.read_text()
    write_resilience(sample(), tmp_path)
    page, text = write_resilience_report(tmp_path, tmp_path)
    assert page.name == "report.html"
    assert "At 3 times its capacity" in page.read_text()
    assert "## Under fire" in text.read_text()


def test_a_capacity_that_had_not_settled_is_told() -> None:
    """The closed loops before the overload still grew faster, so it is a share of a number that was still changing."""
    holds = sample().servers["holds"]
    assert holds.overload is not None
    told = sentences(replace(holds, overload=replace(holds.overload, loops_rps=[500.0, 800.0, 1_000.0])))
    changing = "At 3 times its capacity of 1,000 requests/s, which was not seen to settle, it answers 0.93"
    assert told[0].startswith(changing)
    steady = replace(holds.overload, loops_rps=[970.0, 990.0, 1_000.0, 910.0, 985.0])
    assert sentences(replace(holds, overload=steady)) == sentences(holds)


def test_one_set_of_kinds_tells_what_was_refused() -> None:
    """Overload, crash and soak agree on it, over HTTP and over gRPC."""
    errors = {"http_503": 1, "resource_exhausted": 2, "connection_refused": 4, "timeout": 8, "connection_reset": 16}
    lost, refusals = lost_and_refused(errors)
    assert (sum(lost.values()), sum(refusals.values())) == (24, 7)
    holds = sample().servers["holds"]
    assert holds.overload is not None
    level = replace(holds.overload.levels[-1], errors=errors)
    assert (refused(level), left(level), other_errors(level)) == (7, 8, 16)
