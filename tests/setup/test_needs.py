"""What is counted for a server is what it needs: held against its running processes, its artifact and its imports."""

import ast
import hashlib
import importlib.metadata
import sys
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from loadtest.servers.artifact import ROOT, Artifact
from loadtest.servers.server_folder import Server
from loadtest.setup.code_lines import count_lines
from loadtest.setup.declared import read_declared
from loadtest.setup.installed_packages import packages_of_extra, requirements_of
from loadtest.setup.written_files import MODEL, WrittenByHand, WrittenFile, count_written
from tests.setup.needs import Held, held_by

STARTED = ["flask_server", "flask_server:tensorflow", "flask_server:gunicorn", "torchserve", "tf_serving"]
EXPORTS = {
    "tf_serving": "models/savedmodel.py",
    "flask_server:tensorflow": "models/savedmodel.py",
    "flask_server": "models/torch_export.py",
    "torchserve": "models/mar.py",
}
"""Which export writes what a server loads, as models/build.py calls it."""

Hold = Callable[[str], Held]


@pytest.fixture(scope="module")
def hold(servers: Mapping[str, Server], artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Hold:
    """What the processes of a server have imported; each server is started once."""
    known: dict[str, Held] = {}

    def read(key: str) -> Held:
        if key not in known:
            known[key] = held_by(servers[key], artifact, tmp_path_factory.mktemp("held"))
        return known[key]

    return read


def _written(server: Server) -> WrittenByHand:
    return count_written(server, read_declared(server))


def _files(server: Server, kind: str) -> set[str]:
    """Those of a kind; what operates a server is code too, and what other wire formats need is code or export."""

    def kind_of(file: WrittenFile) -> str:
        if file.kind not in ("operation", "other_wires"):
            return file.kind
        return "export" if file.path.startswith("models/") else "code"

    return {file.path for file in _written(server).files if kind_of(file) == kind}


def _direct(server: Server) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements_of(read_declared(server).extra)}


@pytest.mark.slow
@pytest.mark.parametrize("key", STARTED)
def test_no_package_is_charged_that_the_process_does_not_import(
    key: str, servers: Mapping[str, Server], hold: Hold
) -> None:
    """Everything that the extra asks for is imported by a process of the started server."""
    assert _direct(servers[key]) - hold(key).packages == set()


@pytest.mark.slow
@pytest.mark.parametrize(("key", "other"), [("flask_server", "tensorflow"), ("flask_server:tensorflow", "torch")])
def test_no_runtime_is_charged_that_is_not_used(
    key: str, other: str, servers: Mapping[str, Server], hold: Hold
) -> None:
    """Neither the framework of the other form nor the project's own code for it is imported, and neither counts."""
    assert other not in hold(key).packages
    assert other not in {package.name for package in packages_of_extra(read_declared(servers[key]).extra).packages}
    for path in _files(servers[key], "code"):
        assert f"import {other}" not in (ROOT / path).read_text(encoding="utf-8"), path


@pytest.mark.slow
@pytest.mark.parametrize("key", ["flask_server", "flask_server:tensorflow", "flask_server:gunicorn"])
def test_the_code_that_counts_is_what_the_process_has_imported(
    key: str, servers: Mapping[str, Server], hold: Hold
) -> None:
    """No module of the project more and none less; a package's empty __init__.py has no lines."""
    held = {path for path in hold(key).files if count_lines(ROOT / path)}
    assert _files(servers[key], "code") == held


@pytest.mark.parametrize("key", EXPORTS)
def test_every_module_that_an_export_imports_counts(key: str, servers: Mapping[str, Server]) -> None:
    """What the export runs of this project is in the count, or is the model, which is the same for all."""
    run = _run_by(EXPORTS[key])
    assert EXPORTS[key] in run
    assert run - _files(servers[key], "export") - _run_by(MODEL) == set()


@pytest.mark.parametrize("key", EXPORTS)
def test_no_module_counts_as_export_that_none_runs(key: str, servers: Mapping[str, Server]) -> None:
    """What counts is run by the export, or goes with its files to where the server loads it."""
    shipped = {path for path in _files(servers[key], "export") if path.startswith("models/shipped/")}
    assert _files(servers[key], "export") - shipped <= _run_by(EXPORTS[key])
    assert (shipped == set()) == (servers[key].runtime == "tensorflow")


def test_what_is_left_out_is_the_same_for_all() -> None:
    """The contract of a model, with what it imports, is run by every export: leaving it out favours nobody."""
    modules = set(EXPORTS.values())
    assert all(MODEL in _run_by(module) for module in modules)
    others = ("errors", "examples", "packaged_file", "quality", "recording/history", "tensors")
    assert _run_by(MODEL) == {MODEL, *(f"models/{name}.py" for name in others)}


@pytest.mark.parametrize("key", ["flask_server", "torchserve"])
def test_every_module_that_a_server_finds_in_the_artifact_counts(
    key: str, servers: Mapping[str, Server], artifact: Artifact
) -> None:
    """A loader or a handler that lies in the artifact was written by someone; the network is the model itself."""
    counted = {hashlib.sha256((ROOT / file.path).read_bytes()).hexdigest() for file in _written(servers[key]).files}
    loaded = dict(_modules_in(servers[key], artifact))
    assert "load.py" in loaded
    missing = {name for name, content in loaded.items() if hashlib.sha256(content).hexdigest() not in counted}
    assert missing == {"network.py"}


def test_a_server_that_loads_no_module_from_the_artifact_is_charged_for_none(
    servers: Mapping[str, Server], artifact: Artifact
) -> None:
    """TensorFlow Serving reads a graph, so no loader is its own."""
    assert dict(_modules_in(servers["tf_serving"], artifact)) == {}
    assert _files(servers["tf_serving"], "code") == set()


@pytest.mark.parametrize("key", ["tf_serving", "tf_serving:batching", "tf_serving:no-onednn"])
def test_configuration_counts_if_the_command_names_it(key: str, servers: Mapping[str, Server]) -> None:
    """A file of the folder that no flag names is not read, and one that a flag names is."""
    server = servers[key]
    words = [word for launch in server.launches for word in launch.command]
    files = [word.rpartition("{here}/")[2].replace("{shapes}", "fixed") for word in words if "{here}/" in word]
    named = {f"{server.name}/{file}" for file in files}
    assert _files(server, "configuration") == named


def test_what_the_image_of_torchserve_takes_along_counts(servers: Mapping[str, Server]) -> None:
    """Each file that its Dockerfile copies counts, save for the convenience that starts it."""
    server = servers["torchserve"]
    lines = (server.folder / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = {word for line in lines if line.startswith("COPY torchserve/") for word in line.split()[1:-1]}
    counted = {file.path for file in _written(server).files}
    assert copied - counted == {"torchserve/serve.py"}


@pytest.mark.parametrize("key", ["flask_server", "flask_server:tensorflow", "flask_server:gunicorn", "torchserve"])
def test_every_package_that_the_code_imports_is_charged(key: str, servers: Mapping[str, Server]) -> None:
    """What the counted code and the loader import from outside is among the packages of the extra."""
    charged = {package.name for package in packages_of_extra(read_declared(servers[key]).extra).packages}
    files = {*_files(servers[key], "code"), *(path for path in _files(servers[key], "export") if "/shipped/" in path)}
    needed = _packages_of({top for path in files for top in _imported_tops(ROOT / path)})
    assert len(needed) >= 2
    assert needed - charged == set()


def _run_by(module: str) -> set[str]:
    """Files of this project, without empty ones, that importing a module runs: asked of Python's own machinery."""
    path = ROOT / module
    seen: set[str] = set()
    queue = [path]
    while queue:
        one = queue.pop()
        name = one.relative_to(ROOT).as_posix()
        if name in seen:
            continue
        seen.add(name)
        queue += [ROOT / f"{part}.py" for part in _own_modules(one)]
    return seen


def _own_modules(path: Path) -> Iterable[str]:
    """Paths without suffix of this project's modules that a file imports anywhere in its text."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (part for name in names if (ROOT / f"{(part := name.replace('.', '/'))}.py").is_file())


def _imported_tops(path: Path) -> set[str]:
    tops: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            tops |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            tops.add(node.module.partition(".")[0])
    return tops - sys.stdlib_module_names


def _packages_of(tops: set[str]) -> set[str]:
    """The packages to which top-level modules belong; those of the project and the archive's neighbours are none."""
    installed = importlib.metadata.packages_distributions()
    names = {str(canonicalize_name(name)) for top in tops for name in installed.get(top, ())}
    return names - {"serving-bakeoff"}


def _modules_in(server: Server, artifact: Artifact) -> Iterable[tuple[str, bytes]]:
    """Name and content of each Python file in a server's part of the artifact, also inside an archive."""
    context = {"workload": artifact.workload, "version": artifact.version}
    for pattern in read_declared(server).artifact_files:
        for path in artifact.folder.glob(pattern.format_map(context)):
            if path.suffix == ".py":
                yield path.name, path.read_bytes()
            elif path.suffix == ".mar":
                with zipfile.ZipFile(path) as archive:
                    yield from ((name, archive.read(name)) for name in archive.namelist() if name.endswith(".py"))
