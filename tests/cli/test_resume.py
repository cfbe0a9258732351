"""`compare --resume`: what it takes over, and what it refuses before anything is started."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtest.cli import cli
from loadtest.cli.sitting import Asked, Sitting, opened
from loadtest.errors import UsageError
from loadtest.judge.entries import Header
from loadtest.judge.entry_lines import from_entry_line, to_entry_line
from loadtest.machine.journal import Journal
from loadtest.report.runs_file import RUNS, read_runs
from tests.experiments.virtual_record import PLAN, whole

OPTIONS = {
    "servers": "one,two",
    "rounds": 2,
    "quick": False,
    "setup": False,
    "batch_sizes": [1],
    "how": "local",
    "any_port": False,
    "tuned_room": None,
    "rate": 100.0,
}


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The lines of a whole comparison, with the options that it was begun with."""
    first, *others = whole(PLAN, monkeypatch)[1]
    return [to_entry_line(replace(header_of(first), options=OPTIONS)), *others]


def header_of(line: bytes) -> Header:
    """The first line."""
    header = from_entry_line(line, "it")
    assert isinstance(header, Header)
    return header


def write(folder: Path, lines: list[bytes]) -> None:
    """Leave a runs.jsonl."""
    (folder / RUNS).write_bytes(b"".join(line + b"\n" for line in lines))


def compare(*arguments: object) -> Any:
    """The command, in this process."""
    return cli.main(["compare", *map(str, arguments)], standalone_mode=False)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--rounds", "3"], "--rounds 3 (it was begun with --rounds 2) contradicts the comparison in"),
        (["--quick"], "--quick (it was begun without --quick)"),
        (["--setup"], "--setup (it was begun with --no-setup)"),
        (["--batch-sizes", "1,8"], "--batch-sizes 1,8 (it was begun with --batch-sizes 1)"),
        (["--tuned-from", "x"], "--tuned-from x (it was begun without --tuned-from)"),
        (["--rounds", "3", "--rate", "7"], "--rounds 3 (it was begun with --rounds 2), --rate 7"),
    ],
)
def test_an_option_that_contradicts_is_named(tmp_path: Path, lines: list[bytes], given: list[str], told: str) -> None:
    """With what it was before; the record is as it was."""
    write(tmp_path, lines[:-1])
    before = (tmp_path / RUNS).read_bytes()
    with pytest.raises(UsageError) as refused:
        compare("--resume", tmp_path, *given)
    assert told in str(refused.value)
    assert (tmp_path / RUNS).read_bytes() == before


def test_the_environment_may_contradict_too(
    tmp_path: Path, lines: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The launcher may be named by a variable."""
    write(tmp_path, lines[:-1])
    monkeypatch.setenv("LOADTEST_LAUNCHER", "network")
    with pytest.raises(UsageError, match=r"--launcher network \(it was begun with --launcher local\)"):
        compare("--resume", tmp_path)


def test_a_finished_comparison_says_so(tmp_path: Path, lines: list[bytes], capsys: pytest.CaptureFixture[str]) -> None:
    """Also with an option that it was begun with; nothing is done, and that is no failure."""
    write(tmp_path, lines)
    before = (tmp_path / RUNS).read_bytes()
    assert compare("--resume", tmp_path, "--rounds", "2", "--any-port") is None
    assert "is finished, nothing is left to measure: loadtest report" in capsys.readouterr().out
    assert (tmp_path / RUNS).read_bytes() == before


def test_what_cannot_be_gone_on_with_is_refused(tmp_path: Path, lines: list[bytes]) -> None:
    """A folder without a record, and one that another process writes to."""
    with pytest.raises(UsageError, match=r"holds no runs\.jsonl: there is nothing to go on with"):
        compare("--resume", tmp_path)
    write(tmp_path, lines[:-1])
    with Journal(tmp_path / RUNS), pytest.raises(UsageError, match="is being written by another process"):
        compare("--resume", tmp_path)


def test_numbers_of_another_machine_are_not_put_beside_these(
    tmp_path: Path, lines: list[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    """What makes them incomparable is named; what does not is told and kept in the record."""
    write(tmp_path, lines[:-1])
    header = header_of(lines[0])
    around = header.surroundings
    asked = Asked(header.planned, header.plans, header.contenders, False, around)
    for change, told in (
        ({"host": replace(around.host, cpu="Abacus")}, "the processor "),
        ({"method": 1}, "the method (2, now 1)"),
        ({"launcher": "compose"}, "the launcher (virtual, now compose)"),
        ({"software": {"torch": "9"}}, "torch (none, now 9)"),
    ):
        journal, record = opened(tmp_path)
        other = replace(asked, surroundings=replace(around, **change))
        with journal, pytest.raises(UsageError) as refused:
            Sitting.go_on(tmp_path, journal, record, other)
        assert told in str(refused.value)
    for other in (replace(asked, planned=["digits", "more"]), replace(asked, plans=[replace(PLAN, seed=2)])):
        journal, record = opened(tmp_path)
        with journal, pytest.raises(UsageError, match="what its options stand for"):
            Sitting.go_on(tmp_path, journal, record, other)
    journal, record = opened(tmp_path)
    newer = replace(asked, surroundings=replace(around, host=replace(around.host, system="Linux 99")))
    with Sitting.go_on(tmp_path, journal, record, newer):
        pass
    assert "the system (" in capsys.readouterr().err
    assert b"now Linux 99" in (tmp_path / RUNS).read_bytes().splitlines()[-1]


def test_files_of_a_server_that_were_changed_are_named(lines: list[bytes]) -> None:
    """A changed server is another one."""
    around = replace(header_of(lines[0]).surroundings, servers={"one": "a", "two": "b"})
    assert around.apart(replace(around, servers={"one": "a", "two": "c"})) == ["the files of two"]


def test_what_was_not_finished_is_kept_beside_a_new_comparison(
    tmp_path: Path, lines: list[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    """One that was is replaced, as its result is."""
    header = header_of(lines[0])
    for number, held in enumerate([lines[:5], lines[:9], lines], start=1):
        write(tmp_path, held)
        with Sitting.begin(tmp_path, header):
            pass
        assert read_runs(tmp_path / RUNS).record.lines == 1
        aside = sorted(path.name for path in tmp_path.glob("runs-*"))
        assert aside == ["runs-1.jsonl", "runs-2.jsonl"][: min(number, 2)]
        assert ("that was not finished: it is kept as" in capsys.readouterr().err) == (number < 3)
    assert (tmp_path / "runs-2.jsonl").read_bytes().splitlines() == lines[:9]


def test_two_that_begin_in_the_same_second_have_folders_of_their_own(
    tmp_path: Path, lines: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So have those after a clock was set back."""
    monkeypatch.chdir(tmp_path)
    folders = set()
    for _ in range(3):
        with Sitting.begin(None, header_of(lines[0])) as sitting:
            folders.add(sitting.folder)
    assert len(folders) == 3
