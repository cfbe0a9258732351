"""Real exports of `digits`, made and asked with the packages of the extra `devices`."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from devices import browser, environment
from devices.errors import DevicesError
from loadtest.servers.artifact import Artifact
from tests.models.conftest import run
from tests.release.conftest import until

pytestmark = [pytest.mark.devices, pytest.mark.slow, pytest.mark.usefixtures("exporters")]


def no_browser() -> str:
    """Why nothing can be tried in a browser here; empty where it can."""
    try:
        browser.program()
    except DevicesError as error:
        return str(error)
    return ""


def check_in_browser(web: Mapping[str, Any]) -> None:
    """Two of the files run in a page, and one is refused by its runtime; without a browser all say so."""
    assert list(web) == ["onnx_web_int8", "litert_torch_web_int8", "litert_tf_web"]
    if missing := no_browser():
        assert all(one["refused"].endswith(missing) for one in web.values())
        return
    assert web["onnx_web_int8"]["right"]["accuracy"] > 0.95
    assert web["litert_tf_web"]["right"]["difference"] < 1e-5
    assert web["litert_tf_web"]["rounds"][0]["forward_ms"] > 0
    assert web["litert_torch_web_int8"]["refused"].endswith("Element type INT8 is not supported.")


def test_every_runtime_gives_the_golden_answers(artifact: Artifact, tmp_path: Path) -> None:
    """float32 within the tolerance, int8 with an accuracy beside it, and each file kept with what a page needs."""
    exports = "onnx_int8,executorch,litert_torch_int8,litert_tf"  # that of onnx is a part of the first
    out, keep = tmp_path / "out", tmp_path / "kept"
    root = artifact.folder.parents[1]
    done = run(root, "devices", "digits", "--exports", exports, "--out", str(out), "--keep", str(keep))
    assert done.returncode == 0, done.stderr
    found = {one["name"]: one for one in json.loads((out / "digits.json").read_text(encoding="utf-8"))["exports"]}
    web = {name: found.pop(name) for name in list(found) if "_web" in name}
    assert [name for name, one in found.items() if one["refused"] or one["wrong"]] == []
    assert list(found) == ["torch", "tensorflow", *exports.split(",")]
    for name in exports.split(","):
        assert found[name]["right"]["difference"] < (0.1 if found[name]["int8"] else 1e-5)
        assert found[name]["right"]["accuracy"] > 0.95
        assert found[name]["rounds"][0]["forward_ms"] > 0
    assert found["onnx_int8"]["made"]["bytes"] < found["torch"]["made"]["bytes"] / 2
    described = json.loads((keep / "digits" / "digits.json").read_text(encoding="utf-8"))["exports"]
    assert list(described) == exports.split(",")
    assert [one["file"] for one in described.values() if not (keep / "digits" / one["file"]).exists()] == []
    check_in_browser(web)
    assert (out / "digits.md").read_text(encoding="utf-8") in done.stdout


def test_a_folder_that_cannot_be_made_is_told_at_once(artifact: Artifact, tmp_path: Path) -> None:
    """In one line, before minutes are spent on an export."""
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "out"
    done = run(artifact.folder.parents[1], "devices", "digits", "--exports", "onnx", "--out", str(out))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: [Errno 20] Not a directory: '{out}'\n"


def test_a_browser_ends_with_the_step_that_opened_it(tmp_path: Path) -> None:
    """Even where that is killed, as it is when the command is ended in the middle."""
    if missing := no_browser():
        pytest.skip(missing)
    words = "from pathlib import Path; from devices.browser import open_page"
    words += "\nwith open_page(Path('none')): print(flush=True); input()"
    step = subprocess.Popen(
        [sys.executable, "-c", words],
        cwd=environment.ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert step.stdout
    assert step.stdout.readline()
    until(lambda: len(of_profile(tmp_path)) > 1)
    step.kill()
    step.communicate()
    until(lambda: not of_profile(tmp_path))


def of_profile(folder: Path) -> list[psutil.Process]:
    """The processes of a browser whose profile lies in a folder."""
    found = psutil.process_iter(["cmdline"])
    return [one for one in found if any(f"--user-data-dir={folder}" in word for word in one.info["cmdline"] or ())]
