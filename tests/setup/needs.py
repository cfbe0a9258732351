"""What a server needs, found out and not declared: what its running processes have imported."""

import importlib.metadata
import json
import shutil
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.utils import canonicalize_name

from loadtest.launch.launcher import LocalLauncher, running
from loadtest.machine.placement import UNPINNED
from loadtest.servers.artifact import ROOT, Artifact
from loadtest.servers.server_folder import Server

WITNESS = Path(__file__).parent / "witness" / "sitecustomize.py"
GIVE_UP_S = 60.0


@dataclass(frozen=True)
class Held:
    """What the processes of a running server have imported.

    Attributes:
        packages: Canonical names of installed packages.
        files: Files of this project, relative to it.
    """

    packages: frozenset[str]
    files: frozenset[str]


def held_by(server: Server, artifact: Artifact, folder: Path) -> Held:
    """Start a server, wait until it has predicted rightly, and read what its processes have imported.

    Args:
        server: One that runs in this Python environment.
        artifact: What it serves.
        folder: An empty folder.
    """
    shutil.copy(WITNESS, folder)
    launch = next(one for one in server.launches if one.in_python)
    paths = ":".join(filter(None, [str(folder), launch.env.get("PYTHONPATH", "")]))
    watched = replace(launch, env={**launch.env, "PYTHONPATH": paths})
    with running(LocalLauncher(artifact, UNPINNED, any_port=True), [replace(server, launches=(watched,))]):
        _wait_until_all_have_told_again(folder)
    held: dict[str, str] = {}
    for path in folder.glob("*.json"):
        held |= json.loads(path.read_text())["held"]
    # What a process began with: the launcher, which checks the settings and becomes the server, or the server's own.
    del held["__main__"]
    distributions = importlib.metadata.packages_distributions()
    tops = {name.partition(".")[0] for name in held}
    packages = {canonicalize_name(one) for top in tops for one in distributions.get(top, ())}
    here = {Path(place).relative_to(ROOT) for place in held.values() if Path(place).is_relative_to(ROOT)}
    return Held(frozenset(packages), frozenset(str(path) for path in here if path.parts[0] != ".venv"))


def _wait_until_all_have_told_again(folder: Path) -> None:
    """Wait until no module has been added for a second, so that the last word is of the finished server."""
    deadline = time.monotonic() + GIVE_UP_S
    before: Counter[int] = Counter()
    while True:
        time.sleep(1.0)
        assert time.monotonic() < deadline, "the server's processes go on importing, or tell nothing"
        now: Counter[int] = Counter()
        for path in folder.glob("*.json"):
            said = json.loads(path.read_text())
            now[said["pid"]] = max(now[said["pid"]], len(said["held"]))
        if now and now == before:
            return
        before = now
