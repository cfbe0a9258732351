"""`scripts/audit` over small databases of each form that it reads."""

import json
import zipfile
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from loadtest.servers.artifact import ROOT
from scripts.audit_dependencies import main


@dataclass(frozen=True)
class Done:
    """How a run of the program ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def record(**changes: Any) -> dict[str, Any]:
    """An advisory about Some.Package from 1.2 on, mended in 1.4 and in 2.0.1."""
    events = [{"introduced": "2.0"}, {"fixed": "2.0.1"}, {"introduced": "1.2"}, {"fixed": "1.4"}]
    package = {"ecosystem": "PyPI", "name": "some-package"}
    affected = {"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}], "versions": ["0.9rc1"]}
    fields = {"id": "EX-1", "aliases": ["CVE-1-1"], "summary": "it leaks", "modified": "2024-05-06T07:08:09.5Z"}
    return fields | {"affected": [affected]} | changes


def audit(folder: Path, version: str, *records: dict[str, Any], accepted: str = "") -> Done:
    """Run the audit of one pinned package over a dump of these advisories."""
    with zipfile.ZipFile(folder / "all.zip", "w") as dump:
        for number, one in enumerate(records):
            dump.writestr(f"{number}.json", json.dumps(one))
    return run(folder, f"Some_Package=={version}\nother==1.0\n", folder / "all.zip", accepted)


def run(folder: Path, lock: str, database: object, accepted: str = "") -> Done:
    """Run the audit to its end."""
    (folder / "lock.txt").write_text(lock)
    (folder / "accepted.toml").write_text(accepted)
    options = ["--lock", f"{folder}/lock.txt", "--accepted", f"{folder}/accepted.toml", "--database", str(database)]
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        code = main(options)
    return Done(code, out.getvalue(), err.getvalue())


@pytest.mark.parametrize("version", ["1.2", "1.3.9", "2.0", "0.9rc1", "1.4rc1"])
def test_an_affected_version_is_found(tmp_path: Path, version: str) -> None:
    """In either range or listed, whatever its name looks like: with what mends it, and how old the data are."""
    done = audit(tmp_path, version, record(), record(id="EX-2", modified="2024-06-01T00:00:00Z", affected=[]))
    assert done.returncode == 1
    first, finding, fixed, last = done.stdout.splitlines()
    assert first.startswith("1 advisories for PyPI, the newest changed on 2024-05-06, ")
    assert first.endswith("days ago: OLD, of what was found out since then nothing is known")
    assert finding == f"some-package {version}: EX-1, CVE-1-1: it leaks"
    assert fixed == "    fixed in 2.0.1, 1.4"
    assert last == "2 packages pinned in lock.txt: 1 advisories about them in these data"


@pytest.mark.parametrize("version", ["1.1.9", "1.4", "1.9", "2.0.1", "3"])
def test_another_version_is_not(tmp_path: Path, version: str) -> None:
    """Before, between and after the ranges."""
    done = audit(tmp_path, version, record())
    assert (done.returncode, "EX-1" in done.stdout) == (0, False), done.stdout


def test_advisories_that_are_about_something_else(tmp_path: Path) -> None:
    """One that was withdrawn, and one for a package of this name in another ecosystem."""
    elsewhere = record()["affected"][0] | {"package": {"ecosystem": "npm", "name": "some-package"}}
    done = audit(tmp_path, "1.3", record(withdrawn="2024-01-01T00:00:00Z"), record(affected=[elsewhere]))
    assert (done.returncode, "EX-1" in done.stdout) == (0, False), done.stdout


def test_what_is_accepted_is_told_and_no_failure(tmp_path: Path) -> None:
    """By any of its names, with the reason; what is accepted in vain is told too."""
    accepted = "".join(
        f'[[accepted]]\nid = "{name}"\nreason = "not reachable"\ndate = 2026-01-02\n' for name in ("CVE-1-1", "CVE-9-9")
    )
    done = audit(tmp_path, "1.3", record(), accepted=accepted)
    assert done.returncode == 0
    assert "    accepted: not reachable (2026-01-02)" in done.stdout.splitlines()
    assert "CVE-9-9 is accepted, and was not found: is it mended?" in done.stdout.splitlines()
    assert audit(tmp_path, "1.3", record(), record(id="EX-3", aliases=[]), accepted=accepted).returncode == 1


def test_the_form_of_pypa_is_read(tmp_path: Path) -> None:
    """A folder of YAML files, whose time stamps stay what they are."""
    (tmp_path / "vulns" / "some-package").mkdir(parents=True)
    (tmp_path / "vulns" / "some-package" / "EX-1.yaml").write_text(
        "id: EX-1\nmodified: 2024-05-06T07:08:09.5Z\ndetails: |\n  It leaks.\n  Badly.\naffected:\n- package:\n"
        "    name: some-package\n    ecosystem: PyPI\n  ranges:\n  - type: ECOSYSTEM\n    events:\n"
        "    - introduced: '0'\n    - last_affected: '1.5'\n"
    )
    done = run(tmp_path, "some-package==1.5\n", tmp_path / "vulns")
    assert "some-package 1.5: EX-1: It leaks." in done.stdout.splitlines()
    assert "changed on 2024-05-06" in done.stdout
    assert run(tmp_path, "some-package==1.5.1\n", tmp_path / "vulns").returncode == 0


@pytest.mark.parametrize(
    ("lock", "database", "message"),
    [
        ("a==1\n", "nowhere.zip", "no advisories from"),
        ("a==1\n", ".", "there is no advisory in"),
        ("a==1\n", "lock.txt", "no advisories from"),
        ("a==1\n", "https://127.0.0.1:9/all.zip", "no advisories from"),
        ("a>=1\n", ".", "pins no version"),
    ],
)
def test_without_data_it_fails(tmp_path: Path, lock: str, database: str, message: str) -> None:
    """With an exit code of its own and one line: it never says that nothing was found where nothing was looked at."""
    place = database if "://" in database else tmp_path / database
    done = run(tmp_path, lock, place)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("audit: ")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_lock_file_of_this_project_is_read(tmp_path: Path) -> None:
    """Every line of it; a package that is pinned there is found."""
    lock = (ROOT / "constraints.txt").read_text()
    every = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]
    affected = {"package": {"ecosystem": "PyPI", "name": "Flask"}, "ranges": every}
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as dump:
        dump.writestr("EX-1.json", json.dumps(record(affected=[affected])))
    done = run(tmp_path, lock, tmp_path / "all.zip")
    assert done.returncode == 1
    assert "flask " in done.stdout
    assert f"{len(lock.split())} packages pinned" in done.stdout
