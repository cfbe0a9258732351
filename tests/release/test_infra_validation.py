"""A candidate is blessed by servers that were really started on it, and by no other."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import safetensors.numpy

from loadtest.errors import ArtifactError
from loadtest.machine.placement import UNPINNED
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server
from release.blessing import BLESSED, FOLDER, NOT_BLESSED, Blessing, read_blessing, why_not_blessed, write_blessing
from release.candidate import read_candidate
from release.infra_start import ProcessStart
from release.infra_validation import validate
from tests.release.conftest import Obedient, seal, until

ROOT = Path(__file__).resolve().parents[2]


def bless(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m models bless` on an artifact."""
    command = [sys.executable, "-m", "models", "bless", "--artifact", str(folder), *words]
    return subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)


def verdict(server: Server, folder: Path, timeout_s: float = 60.0) -> Blessing:
    """What one server says of the candidate in a folder."""
    candidate = read_candidate("digits", folder)
    return validate(server, candidate, ProcessStart(candidate.artifact, UNPINNED, timeout_s))


def test_a_damaged_archive_is_not_blessed(folder: Path) -> None:
    """TorchServe's own words stand in the verdict; the exit code says so too."""
    archive = folder / "model_store" / "digits.mar"
    archive.write_bytes(archive.read_bytes()[:-4096])
    seal(folder)
    done = bless(folder, "--servers", "torchserve")
    assert done.returncode == 1
    assert f"digits v1: {BLESSED} by 0 of 1" in done.stdout
    (file,) = (folder / FOLDER / "torchserve").iterdir()
    assert file.name == NOT_BLESSED
    (reason,) = json.loads(file.read_text())["reasons"]
    assert "digits.mar is not a readable model archive" in reason
    assert reason in done.stdout


def test_weights_of_another_model_are_not_blessed(folder: Path, servers: dict[str, Server]) -> None:
    """Flask loads them and is ready, and its answers are held against the golden ones."""
    file = folder / "torch" / "weights.safetensors"
    weights = safetensors.numpy.load_file(file)
    safetensors.numpy.save_file({name: array * 0.9 for name, array in weights.items()}, file)
    seal(folder)
    found = verdict(servers["flask_server"], folder)
    assert not found.blessed
    assert "answers golden example 0 wrongly (off by" in found.reasons[0]
    assert found.load_s > 0


@pytest.mark.parametrize(
    ("mode", "timeout_s", "told"),
    [
        ("dies", 60.0, "obedient ended with exit code 1: I was told to die"),
        ("never-ready", 1.0, "obedient did not call itself ready within 1 s ("),
        ("wrong", 60.0, "obedient is ready but answers golden example 0 wrongly (off by 0.5)"),
    ],
)
def test_each_way_to_fail_is_a_reason(obedient: Obedient, folder: Path, mode: str, timeout_s: float, told: str) -> None:
    """One line for a server that does not start, that is never ready, and that answers wrongly."""
    found = verdict(obedient(mode), folder, timeout_s)
    assert found.verdict == NOT_BLESSED
    (reason,) = found.reasons
    assert told in reason
    assert "\n" not in reason


def test_a_server_that_dies_while_it_is_asked_is_not_blessed(obedient: Obedient, folder: Path, tmp_path: Path) -> None:
    """It loads, answers ten requests and is gone: how it ended comes first, and the wrong answers after that."""
    marker = tmp_path / "started before"
    marker.touch()
    found = verdict(obedient(f"mortal:{marker}"), folder)
    assert not found.blessed
    assert found.first_answer_s > 0
    assert "obedient ended with exit code 3" in found.reasons[0]
    assert len(found.reasons) > 1


def test_a_server_that_is_missing_is_not_blessed(obedient: Obedient, folder: Path) -> None:
    """What is not on this machine cannot have loaded the model."""
    server = obedient("good")
    launches = tuple(dataclasses.replace(one, requires="no-such-program") for one in server.launches)
    found = verdict(dataclasses.replace(server, launches=launches), folder)
    assert found.reasons == ("obedient cannot be started here: no-such-program is not on PATH",)


def test_a_blessing_holds_for_one_manifest(obedient: Obedient, folder: Path) -> None:
    """An artifact that was built again is not blessed any more, and is not taken for refused either."""
    blessed = verdict(obedient("good"), folder)
    assert blessed.reasons == ()
    write_blessing(read_candidate("digits", folder), blessed)
    assert read_blessing(read_candidate("digits", folder), "obedient") == blessed
    seal(folder, seed=7)
    rebuilt = read_candidate("digits", folder)
    assert read_blessing(rebuilt, "obedient") is None
    assert why_not_blessed(rebuilt, ["obedient"]) == [
        "obedient: not validated since it was built (python -m models bless)"
    ]


def test_the_last_verdict_is_the_one_that_counts(obedient: Obedient, folder: Path) -> None:
    """Of the two files there is one."""
    candidate = read_candidate("digits", folder)
    for mode, file in (("good", BLESSED), ("dies", NOT_BLESSED)):
        write_blessing(candidate, verdict(obedient(mode), folder))
        assert [one.name for one in (folder / FOLDER / "obedient").iterdir()] == [file]
    assert "not blessed: obedient ended" in why_not_blessed(candidate, ["obedient"])[0]


def test_an_altered_artifact_starts_no_server(folder: Path, artifact: Artifact) -> None:
    """What is not what its manifest says is no candidate, whatever lies in its folder of blessings."""
    (folder / "weights.safetensors").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"weights.safetensors was altered"):
        read_candidate("digits", folder)
    done = bless(folder)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not (folder / FOLDER).exists()


def test_containers_need_docker(folder: Path, tmp_path: Path) -> None:
    """Where it is missing, that is said in one line and nothing is held against the model."""
    command = [sys.executable, "-m", "models", "bless", "--artifact", str(folder), "--launcher", "compose"]
    done = subprocess.run(command, cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: Docker is not installed")
    assert done.stderr.count("\n") == 1
    assert not (folder / FOLDER).exists()


def test_ctrl_c_leaves_no_server_and_no_verdict(folder: Path) -> None:
    """While a server loads, a signal ends the command and the server with it."""
    command = [sys.executable, "-m", "models", "bless", "--artifact", str(folder), "--servers", "flask_server"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        started = psutil.Process(process.pid)
        until(lambda: bool(started.children()))
        servers = started.children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 1
        until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in servers))
    finally:
        process.kill()
        process.communicate()
    assert not (folder / FOLDER).exists()
