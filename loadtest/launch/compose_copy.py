"""A server of the stack over a copy of a model that may be altered, with settings of its own, beside the stack."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from loadtest.launch.compose import ARTIFACTS, ComposeLauncher
from loadtest.launch.container import ContainerServer
from loadtest.machine.run_folder import RunFolder
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server, fill

APP = "/app"
"""Where the images of this project have the servers' folders."""


@contextlib.contextmanager
def running_copy(
    launcher: ComposeLauncher,
    server: Server,
    artifact: Artifact,
    *,
    args: tuple[str, ...] = (),
    env: Mapping[str, str] = {},
    files: Mapping[str, str] = {},
    keys: Mapping[str, Any] = {},
) -> Iterator[ContainerServer]:
    """Start a server in a container that sees a folder of this machine in the place of the volume with the artifacts.

    Args:
        launcher: Of the stack.
        server: Which server.
        artifact: The copy; everybody may read its files afterwards, as the container runs under a user of its own.
        args: Templates of words that are added to its command.
        env: Templates of variables.
        files: Templates of text that is added at the end of a file of the server's folder.
        keys: Keys of its service in the compose files that get other values.

    Raises:
        LaunchError: If it does not start.
        ParityError: If it answers wrongly.
        UsageError: If it is a variant, of which the stack has none.
    """
    service = launcher.definition(server, artifact.version)
    root = artifact.folder.parents[1].resolve()
    mounts = [mount for mount in service["volumes"] if mount["target"] not in ARTIFACTS]
    (models,) = (mount for mount in service["volumes"] if mount["target"] in ARTIFACTS)
    here = f"{APP}/{server.folder.name}"
    context = {
        "workload": artifact.workload,
        "version": artifact.version,
        "artifact": f"{models['target']}/{artifact.workload}/{artifact.version}",
        "here": here,
    }
    _let_everybody_read(root)
    with RunFolder("copy") as folder:
        folder.chmod(0o755)
        for name, text in files.items():
            own = server.folder / name
            before = own.read_text(encoding="utf-8") if own.exists() else ""
            (folder / name).write_text(f"{before}\n{fill(text, context)}\n", encoding="utf-8")
            mounts.append(_bound(folder / name, f"{here}/{name}"))
        definition = {
            **{key: value for key, value in service.items() if key != "depends_on"},
            "command": [*(service["command"] or []), *(fill(word, context) for word in args)],
            "environment": {**service["environment"], **{name: fill(value, context) for name, value in env.items()}},
            "volumes": [*mounts, _bound(root, models["target"])],
            "ports": [{key: value for key, value in port.items() if key != "published"} for port in service["ports"]],
            **keys,
        }
        with contextlib.closing(launcher.beside(server, artifact, definition, folder)) as beside:
            yield beside.start(server)


def _bound(source: Path, target: str) -> dict[str, Any]:
    return {"type": "bind", "source": str(source), "target": target, "read_only": True}


def _let_everybody_read(root: Path) -> None:
    for path in (root, *root.rglob("*")):
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
