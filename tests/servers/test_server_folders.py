"""Every server folder keeps the contract, and a new folder is all that a new server takes."""

import re
import shutil
import string
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from loadtest.errors import UsageError
from loadtest.launch.container import IMAGE_LABEL
from loadtest.servers.server_folder import Server, fill
from loadtest.servers.server_toml import load_servers, select_servers, server_folders
from loadtest.wire.formats import wire_names

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = server_folders()
NAMES = {"python", "here", "root", "artifact", "workload", "version", "host", "ports", "threads", "run_dir", "shapes"}


def test_the_three_servers_are_there() -> None:
    """The comparison is of these three."""
    assert {folder.name for folder in FOLDERS} >= {"tf_serving", "torchserve", "flask_server"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_folder_holds_the_contract_files(folder: Path) -> None:
    """Each folder has the same few files, and its README shows the curl."""
    for name in ("server.toml", "Dockerfile", "README.md"):
        assert (folder / name).is_file(), f"{folder.name} lacks {name}"
    assert "curl" in (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_server_toml_names_what_exists(folder: Path, servers: Mapping[str, Server]) -> None:
    """The name is the folder's, the written files exist, and the probes use ports that are declared."""
    server = servers[folder.name]
    assert server.name == folder.name
    assert server.runtime in ("torch", "tensorflow")
    assert {"rest"} <= set(server.wires) <= set(wire_names())
    assert {wire.port for wire in server.wires.values()} <= set(server.ports)
    for name in server.written_files:
        assert (folder / name).resolve().is_file(), name
    for probe in (server.ready, *server.effective.values()):
        assert probe.port in server.ports


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_templates_use_known_names_only(folder: Path, servers: Mapping[str, Server]) -> None:
    """No template of a command or a path uses a name that the launcher does not fill in."""
    for server in servers.values():
        if server.name != folder.name:
            continue
        for launch in server.launches:
            paths = [server.ready.path, *(wire.path for wire in server.wires.values())]
            for template in (*launch.command, *launch.version, *launch.env.values(), *paths):
                used = {re.split(r"[.\[]", field)[0] for _, field, _, _ in string.Formatter().parse(template) if field}
                assert used <= NAMES, template


def test_labels_and_default_ports_are_unique(servers: Mapping[str, Server]) -> None:
    """Two servers can stand in one table and run side by side."""
    labels = [server.label for server in servers.values()]
    assert len(labels) == len(set(labels))
    ports = [port for key, server in servers.items() if ":" not in key for port in server.ports.values()]
    assert len(ports) == len(set(ports))


def test_a_stand_in_never_bears_the_name_of_the_real_thing(servers: Mapping[str, Server]) -> None:
    """The embedded server has a label of its own."""
    real, embedded = servers["tf_serving"].launches
    assert real.requires == "tensorflow_model_server"
    assert embedded.label == "TF Serving API (embedded)"
    assert servers["tf_serving"].label != embedded.label
    assert embedded.stands_in_for == servers["tf_serving"].label
    assert real.stands_in_for == ""


def test_a_container_of_the_stand_in_is_known_as_one(servers: Mapping[str, Server]) -> None:
    """Labels of images and of the compose files lead back to the launch that says what it stands in for."""
    dockerfile = (ROOT / "tf_serving" / "Dockerfile").read_text(encoding="utf-8")
    compose = (ROOT / "compose.embedded.yaml").read_text(encoding="utf-8")
    labels = [
        *re.findall(rf'^LABEL {re.escape(IMAGE_LABEL)}="(.*)"$', dockerfile, re.MULTILINE),
        *re.findall(r"^ +LOADTEST_LABELS: tf_serving=(.*)$", compose, re.MULTILINE),
    ]
    assert len(labels) == 2
    for label in labels:
        launch = servers["tf_serving"].launch_called(label)
        assert launch is not None
        assert launch.stands_in_for == "TensorFlow Serving"
    official = servers["tf_serving"].launch_called("TensorFlow Serving")
    assert official is not None
    assert official.stands_in_for == ""
    assert not official.in_python
    assert servers["tf_serving"].launch_called("somebody else's") is None
    variant = servers["tf_serving:batching"]
    assert [launch.stands_in_for for launch in variant.launches] == ["", "TensorFlow Serving"]


def test_a_stand_in_without_a_label_is_refused(tmp_path: Path) -> None:
    """It would be shown under the name of what it stands in for."""
    shutil.copytree(ROOT / "flask_server", tmp_path / "odd", ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "odd" / "server.toml"
    path.write_text(path.read_text().replace("[[launch]]", '[[launch]]\nstands_in_for = "Flask"'))
    with pytest.raises(UsageError, match=r"odd/server\.toml.*stands_in_for Flask needs a label of its own"):
        load_servers(tmp_path)


def test_a_fourth_folder_is_a_fourth_server(tmp_path: Path) -> None:
    """Adding a server takes a folder and no line in loadtest."""
    shutil.copytree(ROOT / "flask_server", tmp_path / "fourth")
    path = tmp_path / "fourth" / "server.toml"
    path.write_text(path.read_text().replace('name = "flask_server"', 'name = "fourth"'))
    assert "fourth" in load_servers(tmp_path)


def test_a_broken_server_toml_is_named(tmp_path: Path) -> None:
    """A missing key is reported with the file and the key."""
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "server.toml").write_text('name = "odd"\n')
    with pytest.raises(UsageError, match=r"odd/server\.toml lacks: label"):
        load_servers(tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("rest = 8000", "rest = -1", "ports.rest must be a number from 1 to 65535, not -1"),
        ("rest = 8000", "rest = 99999", "ports.rest must be a number from 1 to 65535, not 99999"),
        ("rest = 8000", 'rest = "8000"', "ports.rest must be a number from 1 to 65535, not '8000'"),
        ("rest = 8000", "http = 8000", "wires.rest.port must be one of http, not 'rest'"),
        ('[ready]\nport = "rest"', '[ready]\nport = "admin"', "ready.port must be one of rest, not 'admin'"),
        ('[effective.model]\nport = "rest"', "[effective.model]\nport = 1", "effective.model.port must be a string"),
        ('contains = "ready"', 'contain = "ready"', "ready.contain is not known; there are: port, path, contains"),
        ('OMP_NUM_THREADS = "1"', "OMP_NUM_THREADS = 1", "launch[0].env.OMP_NUM_THREADS must be a string"),
        ("[launch.env]", 'version = "1.0"\n[launch.env]', "launch[0].version must be a list of strings, not '1.0'"),
        (
            '{ FLASK_SERVER_RUNTIME = "tensorflow" }',
            "{ X = 1.5 }",
            "variants.tensorflow.env.X must be a string",
        ),
        ('args = ["--wsgi", "gunicorn"]', 'args = "--wsgi"', "variants.gunicorn.args must be a list of strings"),
        ("rest = { port", "json = { port", "[wires] has no entry for rest"),
        ('rest = { port = "rest", path', 'rest = { ports = "rest", path', "wires.rest.ports is not known"),
        ('label = "Flask + granian (torch)"', "label = 7", "label must be a string, not 7"),
        ("[wires]", "[[wires]]", "wires must be a table"),
        ("[[launch]]", "[launch]", "launch must be a list of tables"),
        ("[ports]", "[ports", "(at line"),
        ("[effective.model]", "[efective.model]", "efective is not known; there are: name, label, "),
    ],
)
def test_a_wrong_value_is_named_with_its_place(tmp_path: Path, before: str, after: str, told: str) -> None:
    """Every command that reads the folder says so in one line, and starts nothing."""
    copy = tmp_path / "flask_server"
    shutil.copytree(ROOT / "flask_server", copy)
    text = (copy / "server.toml").read_text(encoding="utf-8")
    assert before in text
    (copy / "server.toml").write_text(text.replace(before, after), encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        load_servers(tmp_path)
    assert str(copy / "server.toml") in str(refused.value)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_wrong_value_ends_a_command_in_one_line(tmp_path: Path) -> None:
    """A copy of the project in which one port is impossible."""
    for name in ("loadtest", "flask_server"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "flask_server" / "server.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("rest = 8000", "rest = -1"), encoding="utf-8")
    command = [sys.executable, "-m", "loadtest", "check"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.endswith("ports.rest must be a number from 1 to 65535, not -1")


def test_an_unknown_server_is_refused_with_the_known_ones(servers: Mapping[str, Server]) -> None:
    """A typing error costs one line and no search."""
    with pytest.raises(UsageError, match="no server 'flsk'; there are: flask_server"):
        select_servers("flsk", servers)


def test_a_template_with_an_unknown_name_is_refused() -> None:
    """The message says which names there are."""
    for template in ("{nothing}", "{host.name}", "{threads[0]}", "{0}", "{host:d}", "{"):
        with pytest.raises(UsageError, match="uses what does not exist"):
            fill(template, {"host": "127.0.0.1", "threads": 1})


def test_own_code_is_told(servers: Mapping[str, Server]) -> None:
    """Flask's service and the stand-in are code of this project; TensorFlow Serving and TorchServe are not."""
    own = {
        key: [launch.own_code for launch in servers[key].launches]
        for key in ("flask_server", "tf_serving", "torchserve")
    }
    assert own == {"flask_server": [True], "tf_serving": [False, True], "torchserve": [False]}


def test_loadtest_imports_no_framework() -> None:
    """The load tester installs in seconds and runs on a machine without TensorFlow and PyTorch."""
    code = (
        "import pkgutil, importlib, sys, loadtest\n"
        "for m in pkgutil.walk_packages(loadtest.__path__, 'loadtest.'):\n"
        "    if not m.name.endswith('__main__'): importlib.import_module(m.name)\n"
        "print(sorted({'tensorflow', 'torch', 'keras', 'grpc'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
