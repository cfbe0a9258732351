"""From nothing to the first correct prediction: everything that a new machine has to do, stage by stage."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from loadtest.errors import LaunchError, UsageError
from loadtest.launch.launcher import Launcher, LocalLauncher
from loadtest.machine.ending import with_parent
from loadtest.machine.run_folder import RunFolder
from loadtest.servers.artifact import ROOT
from loadtest.servers.server_folder import Server
from loadtest.setup.declared import DeclaredSetup
from loadtest.setup.setup_finding import SetupCode, SetupFinding, finding
from loadtest.setup.start_times import watched_start

LEFT_BEHIND = (".git", ".venv", "artifacts", "results", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info", "tests")
"""What a fresh checkout does not have, or does not need for an installation."""

NO_CACHES = {"PIP_NO_CACHE_DIR": "1", "UV_NO_CACHE": "1"}
TAIL = 4


StageName = Literal["packages", "image", "export", "start"]


@dataclass(frozen=True)
class ColdStage:
    """One stage of a cold start.

    Attributes:
        stage: What was done.
        seconds: How long it took.
    """

    stage: StageName
    seconds: float


@dataclass(frozen=True)
class ColdStart:
    """Every stage from nothing to the first correct prediction, in seconds.

    Attributes:
        stages: In their order; the last one ends with the first correct prediction.
        seconds: All stages together.
        clean_cache: Whether nothing could come from the caches of pip or of the image builder.
        notes: What has to be said beside the figures.
    """

    stages: Annotated[tuple[ColdStage, ...], Meta(min_length=1)]
    seconds: float
    clean_cache: bool
    notes: tuple[SetupFinding, ...]


def cold_start(
    server: Server, declared: DeclaredSetup, launcher: Launcher, *, clean_cache: bool, say: Callable[[str], None]
) -> ColdStart:
    """Install or build everything that a server needs, export the model, and start it.

    Local: a fresh checkout in a scratch folder, where ``scripts/venv EXTRA`` makes an environment with that server's
    packages and nothing else; the server then runs in it. Compose: the server's image is built, or pulled.
    The model is exported in this environment, or by the service ``models``: that is the same work for every server.

    Args:
        server: Which one.
        declared: Its extra.
        launcher: How it is started.
        clean_cache: Whether the caches of pip, or of the image builder, are left aside.
        say: Told what is under way.

    Raises:
        LaunchError: If a stage fails; its last lines are in the text.
        UsageError: If the launcher starts nothing.
    """
    if launcher.name == "compose":
        return _compose(server, launcher, clean_cache, say)
    if not isinstance(launcher, LocalLauncher):
        raise UsageError(f"--cold needs a launcher that installs or builds, and --launcher {launcher.name} does not")
    with RunFolder("setup-cold") as scratch:
        return _local(server, declared, launcher, clean_cache, scratch, say)


def _local(
    server: Server,
    declared: DeclaredSetup,
    launcher: LocalLauncher,
    clean_cache: bool,
    scratch: Path,
    say: Callable[[str], None],
) -> ColdStart:
    stages: list[ColdStage] = []
    notes: list[SetupFinding] = []
    environment = {**os.environ, **(NO_CACHES if clean_cache else {})}
    launch = server.launch()
    if launch.in_python:
        if not declared.extra:
            raise UsageError(f"{server.key} has no extra of its own in pyproject.toml, so it cannot be installed alone")
        checkout = scratch / "checkout"
        shutil.copytree(ROOT, checkout, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
        say(f"cold: installing the packages of {declared.extra}")
        stages.append(_stage("packages", [str(checkout / "scripts" / "venv"), declared.extra], checkout, environment))
        python = str(checkout / ".venv" / "bin" / "python")
        fresh = replace(launch, command=tuple(word.replace("{python}", python) for word in launch.command))
        server = replace(server, launches=(fresh,))
    else:
        notes.append(finding(SetupCode.INSTALLED_BEFORE, program=launch.command[0]))
    say("cold: exporting the model")
    workload = launcher.artifact.workload
    exporting = {**environment, "BAKEOFF_ARTIFACTS": str(scratch / "artifacts")}
    command = [sys.executable, "-m", "models", "build", workload, "--force"]
    stages.append(_stage("export", command, ROOT, exporting))
    notes.append(finding(SetupCode.EXPORTED_IN_THIS_ENVIRONMENT))
    say("cold: starting")
    return _started(server, launcher, stages, clean_cache, notes)


def _compose(server: Server, launcher: Launcher, clean_cache: bool, say: Callable[[str], None]) -> ColdStart:
    environment = {**os.environ, "WORKLOAD": launcher.artifact.workload}
    service = server.compose_service
    config = subprocess.run(
        ["docker", "compose", "config", "--format", "json"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if config.returncode:
        raise LaunchError(f"docker compose cannot read compose.yaml: {config.stderr.strip()}")
    build = ["docker", "compose", "build", "--quiet", *(["--no-cache"] if clean_cache else [])]
    notes: list[SetupFinding] = []
    say(f"cold: getting the image of {service}")
    if "build" in json.loads(config.stdout)["services"][service]:
        stages = [_stage("image", [*build, service], ROOT, environment)]
        notes.append(finding(SetupCode.BASE_IMAGES_PULLED_BEFORE))
    else:
        stages = [_stage("image", ["docker", "compose", "pull", "--quiet", service], ROOT, environment)]
        notes.append(finding(SetupCode.LAYERS_NOT_PULLED_AGAIN))
    say("cold: exporting the model")
    _stage("image", [*build[:4], "models"], ROOT, environment)
    notes.append(finding(SetupCode.EXPORTER_IMAGE_BUILT_BEFORE))
    # Into the container's own scratch space: the volume that servers may be reading from stays as it is.
    run = ["docker", "compose", "run", "--rm", "--no-deps", "--env", "BAKEOFF_ARTIFACTS=/tmp/artifacts", "models"]
    stages.append(_stage("export", [*run, "build", launcher.artifact.workload], ROOT, environment))
    say("cold: starting")
    return _started(server, launcher, stages, clean_cache, notes)


def _started(
    server: Server, launcher: Launcher, stages: Sequence[ColdStage], clean_cache: bool, notes: Sequence[SetupFinding]
) -> ColdStart:
    with watched_start(launcher, server, launcher.artifact) as (_, start, _):
        whole = (*stages, ColdStage("start", round(start.first_correct, 3)))
        return ColdStart(whole, round(sum(stage.seconds for stage in whole), 3), clean_cache, tuple(notes))


def _stage(name: StageName, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> ColdStage:
    """Run a command, in a session of its own that ends with this program, and time it."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as log:
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(environment),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=with_parent(signal.SIGKILL),
            )
        except OSError as error:
            raise LaunchError(f"cold start, stage {name}: {command[0]} cannot be run: {error}") from error
        try:
            code = process.wait()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        seconds = time.monotonic() - began
        if code:
            log.seek(0)
            lines = log.read().decode(errors="replace").splitlines()[-TAIL:]
            shown = "\n".join(f"  | {line}" for line in lines)
            raise LaunchError(f"cold start, stage {name}: {' '.join(command[:4])} … ended with {code}:\n{shown}")
    return ColdStage(name, round(seconds, 3))
