"""A server in a configuration of its knobs: what it is started with, and the files that it reads."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from loadtest.errors import UsageError
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server, fill
from loadtest.servers.tuning_space import Configuration, TuningSpace, Value

VARIANT = "tuned"


def is_tuned(key: str) -> bool:
    """Whether a server of this key is the tuned form of one."""
    return key.endswith(f":{VARIANT}")


@dataclass(frozen=True)
class Surroundings:
    """What a configuration's files may depend on beside the knobs.

    Attributes:
        workload: The model.
        version: Its version.
        shapes: ``fixed``, or ``varying`` where inputs of the model vary in length.
        threads: Cores that the server has.
    """

    workload: str
    version: str
    shapes: str
    threads: int

    @classmethod
    def of(cls, artifact: Artifact, threads: int) -> "Surroundings":
        """Those of a model on so many cores."""
        return cls(artifact.workload, artifact.version, artifact.shapes, threads)

    @property
    def names(self) -> dict[str, Value]:
        """What a condition of ``[tune]`` may ask for beside knobs."""
        return {"shapes": self.shapes, "workload": self.workload}


def space_of(server: Server) -> TuningSpace:
    """The knobs of a server.

    Raises:
        UsageError: If it declares none.
    """
    if server.tune is None:
        raise UsageError(f"{server.key} has nothing to tune: its server.toml has no [tune] for it")
    return server.tune


def configuration_files(
    server: Server, configuration: Configuration, folder: str, around: Surroundings
) -> dict[str, str]:
    """The files of a configuration, each with its text.

    Args:
        server: The server.
        configuration: A value for each knob.
        folder: How the files name the folder that they lie in.
        around: What they may depend on.

    Raises:
        UsageError: If a template uses a name that does not exist.
    """
    context = {
        "workload": around.workload,
        "version": around.version,
        "shapes": around.shapes,
        "threads": around.threads,
        "knobs": dict(configuration),
        "tuned": folder,
    }
    files: dict[str, str] = {}
    for apply in space_of(server).applies:
        if apply.condition.holds({**around.names, **configuration}):
            for name, text in apply.files.items():
                files[name] = files.get(name, "") + fill(text, context)
    return files


def configured(
    server: Server, configuration: Configuration, folder: Path, around: Surroundings, words: str = VARIANT
) -> Server:
    """The server in a configuration, whose files are to lie in a folder.

    Args:
        server: The server in its default form.
        configuration: A value for each knob.
        folder: Where its files lie.
        around: What the configuration may depend on.
        words: What its label says after the server's.
    """
    applies = [apply for apply in space_of(server).applies if apply.condition.holds({**around.names, **configuration})]
    args = tuple(word for apply in applies for word in apply.args)
    env: Mapping[str, str] = {name: value for apply in applies for name, value in apply.env.items()}
    launches = tuple(
        replace(
            launch,
            command=(*launch.command, *args),
            env={**launch.env, **env},
            label=f"{launch.label}, {words}" if launch.label else "",
        )
        for launch in server.launches
    )
    return replace(
        server,
        key=f"{server.name}:{VARIANT}",
        label=f"{server.label}, {words}",
        launches=launches,
        names={"knobs": dict(configuration), "tuned": folder.resolve()},
        tune=None,
    )
