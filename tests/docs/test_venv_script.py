"""scripts/venv installs what is asked for, keeps what is there, and does nothing where nothing is new."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAIN = "flask,loadtest,models,tf_serving,torchserve"
WITH_DEV = "dev,flask,imagenet,loadtest,minilm,models,tf_serving,torchserve"
STUB = """#!/usr/bin/env bash
echo "$(basename "$0") $*" >>"{log}"
"""


class Folder:
    """A copy of the script beside a .venv whose pip and python only note what they are asked for."""

    def __init__(self, root: Path) -> None:
        self.root, self.log = root, root / "log"
        (root / "scripts").mkdir()
        (root / ".venv" / "bin").mkdir(parents=True)
        for name in ("venv", "compare"):
            shutil.copy(ROOT / "scripts" / name, root / "scripts" / name)
        for name in ("pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, root / name)
        for name in ("pip", "python"):
            program = root / ".venv" / "bin" / name
            program.write_text(STUB.format(log=self.log), encoding="utf-8")
            program.chmod(0o755)
        self.stamp = root / ".venv" / ".installed"

    def run(self, *arguments: str) -> list[str]:
        """Run the script and return what pip was asked to install as the project itself."""
        self.log.write_text("", encoding="utf-8")
        done = subprocess.run(
            ["bash", "scripts/venv", *arguments], cwd=self.root, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        asked = self.log.read_text(encoding="utf-8").splitlines()
        return [line.rpartition("-e ")[2] for line in asked if " -e " in line]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A fresh one."""
    return Folder(tmp_path)


def test_a_comparison_installs_no_test_tool_and_dev_adds_them(folder: Folder) -> None:
    """Extras add up and are never taken away; what is there already is not installed again."""
    assert folder.run() == [f".[{MAIN}]"]
    assert folder.run() == []
    assert folder.run("--dev") == [f".[{WITH_DEV}]"]
    assert folder.run() == []
    assert folder.run("loadtest") == []


def test_a_changed_pin_brings_everything_up_to_date(folder: Folder) -> None:
    """All extras that are there are installed anew, also where fewer are asked for."""
    folder.run("--dev")
    with (folder.root / "constraints.txt").open("a", encoding="utf-8") as file:
        file.write("anything==1\n")
    assert folder.run("loadtest") == [f".[{WITH_DEV}]"]


def test_a_note_of_an_earlier_release_is_not_taken_for_extras(folder: Folder) -> None:
    """Its form was another one: the extras came first, and then a checksum of two numbers."""
    folder.stamp.write_text("loadtest,models,tf_serving,torchserve,flask,dev 3234653857 5745\n", encoding="utf-8")
    assert folder.run("--dev") == [f".[{WITH_DEV}]"]


@pytest.mark.parametrize(
    ("words", "workload", "extras"),
    [
        ([], "digits", MAIN),
        (["--workload", "minilm", "--quick"], "minilm", "flask,loadtest,minilm,models,tf_serving,torchserve"),
        (["--quick", "--workload=imagenet"], "imagenet", "flask,imagenet,loadtest,models,tf_serving,torchserve"),
        (["--workload", "mine"], "mine", MAIN),
    ],
)
def test_a_comparison_installs_and_builds_what_its_workload_needs(
    folder: Folder, words: list[str], workload: str, extras: str
) -> None:
    """The packages that bring its weights, the model itself and no other, and then the comparison."""
    subprocess.run(["bash", "scripts/compare", *words], cwd=folder.root, check=True, capture_output=True)
    asked = folder.log.read_text(encoding="utf-8").splitlines()
    assert [line.rpartition("-e ")[2] for line in asked if " -e " in line] == [f".[{extras}]"]
    assert asked[-2:] == [f"python -m models build {workload}", " ".join(["python -m loadtest compare", *words])]
