"""docs/your-model.md is followed to the letter: its code, its commands, and what it says they print."""

import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.servers.artifact import Artifact
from tests.docs.scratch_copy import ADDITIONS, ROOT, ScratchCopy
from tests.shortest import SHORTLY

PAGE = (ROOT / "docs" / "your-model.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^    ((?:\.venv|curl|scripts)\S* .*)$", PAGE, re.MULTILINE)


def test_the_code_of_the_page_is_the_whole_file() -> None:
    """Put together, its pieces are the model that the other tests build."""
    file = (ADDITIONS / "model" / "models" / "diabetes.py").read_text(encoding="utf-8")
    assert [line for line in "".join(BLOCKS).splitlines() if line] == [line for line in file.splitlines() if line]


@pytest.fixture
def copy(tmp_path: Path, artifact: Artifact) -> ScratchCopy:
    """The repository with the model of the page, and nothing built."""
    copy = ScratchCopy(tmp_path / "copy", tmp_path / "artifacts")
    (copy.root / "models" / "diabetes.py").write_text("".join(BLOCKS), encoding="utf-8")
    return copy


def _words(command: str) -> list[str]:
    """The arguments of a command of the page, for this Python."""
    program, *words = shlex.split(command)
    return ["-m", "loadtest", *words] if program.endswith("loadtest") else words


@pytest.mark.slow
def test_its_commands_work(copy: ScratchCopy) -> None:
    """Built, checked, served and asked with curl, and measured."""
    build, check, up, curl, compare = COMMANDS
    assert "diabetes v1 built: " in copy.run(*_words(build)[1:], timeout_s=300)
    assert "diabetes v1 (built, R squared 0.3509)" in copy.run("models", "list")
    assert "diabetes v1 verified: " in copy.run("models", "verify", "diabetes")
    told = copy.run(*_words(check)[1:], "--any-port", timeout_s=300)
    assert [line.split()[0] for line in told.splitlines()] == ["agrees"] * 3

    environment = {**copy.environment, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, *_words(up)]
    with subprocess.Popen(command, cwd=copy.root, env=environment, stdout=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stdout is not None
            lines = [line for line in iter(serving.stdout.readline, "Ctrl-C stops them.\n") if line]
            assert any("8000" in line for line in lines)
            answer = subprocess.run(shlex.split(curl), capture_output=True, check=True, timeout=60).stdout
        finally:
            serving.send_signal(signal.SIGINT)
            serving.wait(timeout=60)
    ((progression,),) = json.loads(answer)["predictions"]
    assert 25 < progression < 346  # the range of the table

    assert compare == "scripts/compare --workload diabetes"
    result = copy.root / "results"
    copy.run(
        *("tests.shortest", "compare", "--workload", "diabetes", "--any-port", "--servers", "flask_server", *SHORTLY),
        *("--layers", "--no-setup", "--out", str(result)),
        timeout_s=300,
    )
    (comparison,) = json.loads((result / "result.json").read_text(encoding="utf-8"))["comparisons"]
    workload = comparison["workload"]
    assert (workload["name"], workload["quality"]) == ("diabetes", "R squared")
    (server,) = comparison["servers"]
    assert server["breakdown"]["layers_us"] or server["breakdown"]["faults"]  # on a busy machine they may not add up
