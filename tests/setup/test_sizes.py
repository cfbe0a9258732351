"""Bytes: installed packages from their metadata, and a server's part of the artifact."""

import shutil
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.errors import UsageError
from loadtest.launch.launcher import LocalLauncher, running
from loadtest.machine.placement import UNPINNED
from loadtest.report.setup_table import SIZE_ROWS
from loadtest.report.setup_wording import sentence_of
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server
from loadtest.setup.declared import read_declared
from loadtest.setup.disk_size import image_size, measure_size
from loadtest.setup.installed_packages import find_packages, packages_of_extra, requirements_of
from loadtest.setup.installed_program import read_program
from loadtest.setup.measure_setup import measure_setup
from loadtest.setup.setup_file import read_setups
from loadtest.setup.setup_plan import SetupPlan
from loadtest.setup.weighted_sum import FIGURES
from tests.launch.conftest import Obedient
from tests.report.samples import SETUP

Install = dict[str, list[str]]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four packages of a few bytes each, one of which needs itself in a circle and one that is not there."""
    needs = {
        "zz-top": ["zz-Middle[fast]>=1", "zz_gone; python_version > '3'", "zz-windows; sys_platform == 'win32'"],
        "zz-middle": ["zz-plain; extra != 'fast'", "zz-quick; extra == 'fast'", "zz-unused; extra == 'slow'"],
        "zz-plain": [],
        "zz-quick": ["zz-top"],
    }
    for name, requirements in needs.items():
        module = name.replace("-", "_")
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        lines = [f"Requires-Dist: {text}" for text in requirements]
        metadata = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *lines, ""])
        (info / "METADATA").write_text(metadata)
        (tmp_path / f"{module}.py").write_bytes(b"x" * 100)
        (tmp_path / f"{module}.pyc").write_bytes(b"x" * 1000)
        (info / "RECORD").write_text(f"{module}.py,,100\n{module}.pyc,,\n{module}_removed.py,,5\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_installed_packages_follow_markers_and_extras(installed: Path) -> None:
    """What a marker rules out is not counted, what an extra brings is, a circle ends, and what is missing is named."""
    packages, missing = find_packages(["zz-top"])
    assert {package.name for package in packages} == {"zz-top", "zz-middle", "zz-plain", "zz-quick"}
    assert missing == ("zz-gone",)


def test_bytes_are_those_of_files_that_are_there(installed: Path) -> None:
    """Neither bytecode nor a file that was removed since counts."""
    ((package,), _) = find_packages(["zz-plain"])
    assert (package.files, package.bytes, package.version) == (1, 100, "1.0")


def test_an_extra_that_is_found_later_is_followed_too(installed: Path) -> None:
    """A package that was seen without an extra is visited again with it."""
    names = {package.name for package in find_packages(["zz-middle", "zz-middle[fast]"])[0]}
    assert names == {"zz-middle", "zz-plain", "zz-quick", "zz-top"}


def test_a_servers_packages_have_its_framework_and_no_other() -> None:
    """Flask's extra leads to torch and to Werkzeug, and not to TensorFlow."""
    found = packages_of_extra("flask")
    names = {package.name for package in found.packages}
    assert {"flask", "werkzeug", "torch"} <= names
    assert "tensorflow" not in names
    assert found.packages[0].name == "torch"
    assert found.bytes > 100 * 2**20
    assert (found.count, found.bytes) == (len(names), sum(package.bytes for package in found.packages))


def test_an_unknown_extra_is_refused_with_the_known_ones() -> None:
    """The text lists what there is."""
    with pytest.raises(UsageError, match=r"no extra 'flsk'; there are: .*torchserve"):
        requirements_of("flsk")


def test_a_requirement_that_is_none_is_refused() -> None:
    """A typing error in pyproject.toml is one line."""
    with pytest.raises(UsageError, match="cannot be parsed"):
        find_packages(["no such thing >"])


@pytest.mark.parametrize("name", ["flask_server", "tf_serving", "torchserve"])
def test_a_servers_part_of_the_artifact(name: str, servers: Mapping[str, Server], artifact: Artifact) -> None:
    """Each server reads the weights in some form, and not the whole artifact."""
    size = measure_size(read_declared(servers[name]), artifact).artifact
    weights = (artifact.folder / "weights.safetensors").stat().st_size
    everything = sum(path.stat().st_size for path in artifact.folder.rglob("*") if path.is_file())
    assert 0.5 * weights < size.bytes < 0.6 * everything
    assert size.files >= 1


def test_without_docker_there_is_a_reason(servers: Mapping[str, Server], monkeypatch: pytest.MonkeyPatch) -> None:
    """A size that cannot be known is not a zero."""
    monkeypatch.setenv("PATH", "")
    size = image_size(servers["flask_server"])
    assert size.bytes is None
    assert size.note is not None
    assert "docker" in sentence_of(size.note)


@pytest.fixture
def program(obedient: Obedient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that is an executable on PATH behind a script: the interpreter, copied to where no package put it."""
    shutil.copy(Path(sys.executable).resolve(), tmp_path / "answerer.bin")
    script = tmp_path / "answerer"
    script.write_text(f'#!/bin/sh\nexec {tmp_path}/answerer.bin "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    server = obedient("good")
    (server.folder / "README.md").write_text("```sh\nanswerer\n```\n")
    env = {"PYTHONHOME": sys.base_prefix, "PYTHONPATH": sysconfig.get_path("platlib")}
    launch = server.launches[0]
    native = replace(launch, command=("answerer", *launch.command[1:]), env={**launch.env, **env}, requires="answerer")
    return replace(server, launches=(native,), setup={"extra": "tf_serving"})


def test_a_program_is_its_executable_and_its_libraries(
    program: Server, servers: Mapping[str, Server], artifact: Artifact, tmp_path: Path
) -> None:
    """What was installed is counted and not what this environment has; the C library is every machine's own."""
    launcher = LocalLauncher(artifact, UNPINNED, any_port=True)
    found = measure_setup([program], servers, launcher, SetupPlan(repeat=1, probes="none")).servers["obedient"]
    assert found.faults == ()
    assert found.size.packages is None
    native = found.size.program
    assert native is not None
    assert native.executable == "answerer.bin"
    files = {file.name: file.bytes for file in native.files}
    for name in ("answerer", "answerer.bin"):
        assert files[name] == (tmp_path / name).stat().st_size
    libraries = set(files) - {"answerer", "answerer.bin"}
    assert any("multiarray" in name for name in libraries)
    assert [name for name in libraries if name.startswith(("libc.", "libm.", "ld-"))] == []
    assert native.bytes == sum(file.bytes for file in native.files)
    assert SIZE_ROWS["packages"](found) == f"a program, {len(libraries)} libraries"
    assert SIZE_ROWS["installed"](found) == f"{native.bytes / 2**20:,.1f} MiB"
    assert FIGURES["program_mib"](found) == native.bytes / 2**20


def test_a_program_that_did_not_start_has_no_packages_either(
    program: Server, servers: Mapping[str, Server], artifact: Artifact
) -> None:
    """The packages of this environment are nobody's guess for it."""
    launches = (replace(program.launches[0], command=("/bin/false",)),)
    launcher = LocalLauncher(artifact, UNPINNED, any_port=True)
    plan = SetupPlan(repeat=1, probes="none")
    size = measure_setup([replace(program, launches=launches)], servers, launcher, plan).servers["obedient"].size
    assert (size.packages, size.program) == (None, None)


def test_a_server_in_this_environment_is_no_program(obedient: Obedient, artifact: Artifact) -> None:
    """What it has installed is its packages."""
    server = obedient("good")
    launch = replace(server.launches[0], command=("{python}", *server.launches[0].command[1:]))
    here = replace(server, launches=(launch,))
    with running(LocalLauncher(artifact, UNPINNED, any_port=True), [here]) as (one,):
        assert read_program(one) is None


def test_what_a_stand_in_has_installed_is_marked_and_not_weighed() -> None:
    """Who installs the server that it stands for needs none of it."""
    server = replace(read_setups(SETUP)[0].servers["flask_server"], stands_in_for=None)
    assert server.size.packages is not None
    count = str(server.size.packages.count)
    assert SIZE_ROWS["packages"](server) == count
    assert FIGURES["packages"](server) == server.size.packages.count
    stand_in = replace(server, stands_in_for="the real one")
    assert SIZE_ROWS["packages"](stand_in) == f"{count} (stand-in)"
    assert SIZE_ROWS["installed"](stand_in) == f"{SIZE_ROWS['installed'](server)} (stand-in)"
    assert (FIGURES["packages"](stand_in), FIGURES["packages_mib"](stand_in)) == (None, None)
