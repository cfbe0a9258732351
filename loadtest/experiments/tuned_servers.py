"""The configurations that `loadtest tune` left, as servers for a comparison: each beside its own default.

    results/tuned/<workload>/<server>/tuned.json, and the files that the server reads

A configuration is good for what it was found with. One for another number of cores, another model or other software is
refused, and so is one whose files were changed since.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from loadtest.errors import UsageError
from loadtest.judge.tuning_result import KIND, SCHEMA_VERSION, Tuning
from loadtest.machine.files import read_bytes
from loadtest.records import from_json
from loadtest.servers.artifact import ROOT, Artifact
from loadtest.servers.configured_server import Surroundings, configuration_files, configured, space_of
from loadtest.servers.server_folder import Server

FILE = "tuned.json"
ROOM = Path("results") / "tuned"
"""Where the configurations lie, unless another folder is named."""


@dataclass(frozen=True)
class TunedServers:
    """Servers to compare.

    Attributes:
        servers: Those that were asked for, and after each default its tuned form where there is one.
        tunings: What was found, by server key; those for which nothing better than the default was found among them.
        remarks: Which servers have no tuned form, and why.
    """

    servers: list[Server]
    tunings: dict[str, Tuning]
    remarks: list[str]


def folder_of(room: Path, workload: str, server: str) -> Path:
    """Where the configuration of a server for a model lies."""
    return room / workload / server


def shown(folder: Path) -> str:
    """How files name the folder that they lie in: as seen from the project's top level where it is below it.

    Without the leading dot, Compose would take it for the name of a volume.
    """
    whole = folder.resolve()
    return f"./{whole.relative_to(ROOT)}" if whole.is_relative_to(ROOT) else str(whole)


def read_tuning(path: Path) -> Tuning:
    """Read a tuned.json.

    Raises:
        UsageError: If it cannot be read, or is none.
    """
    tuning = from_json(read_bytes(path), Tuning, str(path))
    if (tuning.kind, tuning.schema_version) != (KIND, SCHEMA_VERSION):
        raise UsageError(f"{path} holds {tuning.kind!r} of schema {tuning.schema_version}: run `loadtest tune` again")
    return tuning


def with_tuned(
    servers: Sequence[Server],
    room: Path,
    artifact: Artifact,
    cores: int,
    versions: Callable[[Server], Mapping[str, str]],
) -> TunedServers:
    """Add the tuned form of each server after its default.

    Args:
        servers: Those that were asked for.
        room: Where the configurations lie.
        artifact: The model.
        cores: Cores that the servers have.
        versions: Tells the versions of a server's software.

    Raises:
        UsageError: If none has a tuned form, or one does not fit.
    """
    found: list[Server] = []
    tunings: dict[str, Tuning] = {}
    missing: dict[str, str] = {}
    for server in servers:
        found.append(server)
        folder = folder_of(room, artifact.workload, server.name)
        if server.key != server.name:  # a variant: nothing is tuned of it
            continue
        if not (folder / FILE).is_file():
            missing[server.key] = f"has no tuned configuration for {artifact.workload} in {room}"
            continue
        tuning = tunings[server.key] = read_tuning(folder / FILE)
        _check(tuning, folder / FILE, server, artifact, cores, versions(server))
        if not tuning.outcome.better:
            missing[server.key] = f"was tuned for {tuning.slo}, and nothing better than its default was found"
            continue
        found.append(_tuned(tuning, server, folder, Surroundings.of(artifact, cores)))
    if not tunings:
        raise UsageError(
            f"no server has a tuned configuration for {artifact.workload} in {room}: run `loadtest tune SERVER` first"
        )
    remarks = [f"{key} {reason}" for key, reason in missing.items()]
    told = {key: f"it {reason}: its default stands alone." for key, reason in missing.items()}
    stated = [replace(one, facts=f"{one.facts} {told[one.key]}".strip()) if one.key in told else one for one in found]
    return TunedServers(stated, tunings, remarks)


def _tuned(tuning: Tuning, server: Server, folder: Path, around: Surroundings) -> Server:
    outcome = tuning.outcome
    for name, text in configuration_files(server, outcome.tuned, shown(folder), around).items():
        try:
            same = (folder / name).read_text(encoding="utf-8") == text
        except (OSError, UnicodeDecodeError):
            same = False
        if not same:
            raise UsageError(
                f"{folder / name} is not what {FILE} beside it says: put it back, or run `loadtest tune {server.key}` "
                "again"
            )
    changed = [f"{name} {value}" for name, value in outcome.tuned.items() if value != outcome.default[name]]
    one = configured(server, outcome.tuned, folder, around, tuning.words)
    return replace(one, facts=f"{', '.join(changed)}; all else is as in its default form.")


def _check(
    tuning: Tuning, path: Path, server: Server, artifact: Artifact, cores: int, versions: Mapping[str, str]
) -> None:
    """Refuse a configuration that was found with something else.

    Raises:
        UsageError: If it was; the text says with what.
    """
    launch = server.launch()
    software = {
        name: (tuning.versions.get(name, "none"), versions.get(name, "none"))
        for name in sorted({*tuning.versions, *versions})
    }
    pairs = {
        "the server": (tuning.server, server.key),
        "the model": (f"{tuning.workload} {tuning.workload_version}", f"{artifact.workload} {artifact.version}"),
        "the weights": (tuning.weights_sha256[:12], artifact.weights_sha256[:12]),
        "cores": (tuning.cores, cores),
        "what is started": (tuning.label, launch.label or server.label),
        "the knobs": (", ".join(tuning.outcome.tuned), ", ".join(knob.name for knob in space_of(server).knobs)),
        **software,
    }
    for what, (theirs, ours) in pairs.items():
        if theirs != ours:
            raise UsageError(
                f"{path} was found with another setting of {what} ({theirs}, here {ours}): run `loadtest tune "
                f"{server.key}` again, or leave out --tuned"
            )
