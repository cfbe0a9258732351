"""What CONTRIBUTING.md says must be touched is done in a copy of the repository, and is all that it takes."""

import json
import re
from pathlib import Path

import pytest
import yaml

from loadtest.servers.artifact import Artifact
from tests.docs.scratch_copy import ADDITIONS, ROOT, ScratchCopy
from tests.shortest import SHORTLY

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.fixture
def copy(tmp_path: Path, artifact: Artifact) -> ScratchCopy:
    """The repository, with the models that are built already."""
    return ScratchCopy(tmp_path / "copy", artifact.folder.parents[1])


def _told(what: str) -> list[str]:
    """The files that the table of CONTRIBUTING.md names for an addition."""
    (cell,) = re.findall(rf"^\| {re.escape(what)} \| (.*) \|$", CONTRIBUTING, re.MULTILINE)
    return re.findall(r"`([^`]+)`", cell)


def _add_server(copy: ScratchCopy) -> None:
    copy.add("server")
    service = (ADDITIONS / "server" / "compose.service.yaml").read_text(encoding="utf-8")
    copy.insert("compose.yaml", "\nservices:\n", service)
    copy.insert(
        "compose.yaml",
        "      flask_server: {condition: service_healthy}\n",
        "      plain_http: {condition: service_healthy}\n",
    )
    copy.insert(".env.example", "FLASK_SERVER_REST_PORT=8000\n", "PLAIN_HTTP_REST_PORT=8100\n")
    copy.insert("pyproject.toml", "[project.optional-dependencies]\n", 'plain_http = ["numpy>=2.0", "torch==2.13.0"]\n')


@pytest.mark.slow
def test_a_server_is_its_folder_its_service_and_its_extra(copy: ScratchCopy) -> None:
    """The new server is checked, timed and reported, and the contract's own tests accept it."""
    _add_server(copy)
    outside = {path for path in copy.touched() if not path.startswith("plain_http/")}
    assert ["NAME/", *sorted(outside)] == sorted(_told("a server"), key=lambda path: (path != "NAME/", path))

    services = yaml.safe_load((copy.root / "compose.yaml").read_text(encoding="utf-8"))["services"]
    fences = ("user", "read_only", "cap_drop", "security_opt", "cpus", "cpuset", "mem_limit", "depends_on")
    assert [services["plain_http"][key] for key in fences] == [services["flask_server"][key] for key in fences]

    assert {"flask_server", "plain_http"} < services["loadtest"]["depends_on"].keys()

    answer = copy.run("loadtest", "check", "--servers", "plain_http", "--any-port")
    assert answer.startswith("agrees  http.server (torch): ")
    result = copy.root / "results"
    copy.run(
        *("tests.shortest", "compare", "--any-port", "--servers", "plain_http", *SHORTLY, "--no-setup"),
        *("--out", str(result)),
        timeout_s=300,
    )
    (document,) = json.loads((result / "result.json").read_text(encoding="utf-8"))["comparisons"]
    (server,) = document["servers"]
    assert (server["key"], server["faults"], len(server["rounds"])) == ("plain_http", [], 1)
    copy.run("loadtest", "report", str(result))
    assert "http.server (torch)" in (result / "report.md").read_text(encoding="utf-8")
    copy.run(
        *("loadtest", "setup", "--servers", "plain_http", "--any-port", "--repeat", "1", "--quick"),
        *("--json", str(copy.root / "setup.json")),
        timeout_s=300,
    )
    (setup,) = json.loads((copy.root / "setup.json").read_text(encoding="utf-8"))["measurements"]
    assert setup["servers"]["plain_http"]["written"]["lines"] > 50


@pytest.mark.slow
def test_the_tests_of_the_contract_accept_a_new_server(copy: ScratchCopy) -> None:
    """Those of server folders, of their tables and of the images, as they stand."""
    _add_server(copy)
    told = copy.run(
        *("pytest", "-v", "-m", "not stack", "-p", "no:cacheprovider"),
        *("tests/servers/test_server_folders.py", "tests/setup/test_declared.py", "tests/stack/test_files.py"),
        timeout_s=300,
    )
    for name in ("folder_holds_the_contract_files", "server_toml_names_what_exists", "templates_use_known_names_only"):
        assert f"test_{name}[plain_http] PASSED" in told
    copy.run("ruff", "check", "plain_http")
    copy.run("ruff", "format", "--check", "plain_http")


def test_a_model_is_one_file(copy: ScratchCopy) -> None:
    """It is listed under its own name; `test_your_model` builds, serves and measures the same file."""
    copy.add("model")
    assert copy.touched() == {"models/diabetes.py"}
    assert _told("a model") == ["models/NAME.py"]
    assert "diabetes v1 (not built" in copy.run("models", "list")


def test_a_command_is_one_module(copy: ScratchCopy) -> None:
    """It is found, runs, and the direction of the imports allows it."""
    copy.add("command")
    assert copy.touched() == {"loadtest/cli/servers.py"}
    assert _told("a command") == ["loadtest/cli/NAME.py"]
    assert "servers" in copy.run("loadtest", "--help")
    assert "tf_serving:batching: TensorFlow Serving, dynamic batching" in copy.run("loadtest", "servers")
    assert "Contracts: 2 kept, 0 broken." in copy.run_tool("lint-imports", "--no-cache")


@pytest.mark.slow
def test_a_wire_format_is_one_module_and_a_line_for_each_server(copy: ScratchCopy) -> None:
    """The servers that speak it are checked and measured over it."""
    copy.add("wire")
    line = 'rest-named = { port = "rest", path = "/v1/models/{workload}:predict" }\n'
    copy.insert("tf_serving/server.toml", "[wires]\n", line)
    assert copy.touched() == {"loadtest/wire/formats/rest_named.py", "tf_serving/server.toml"}
    assert _told("a wire format") == ["loadtest/wire/formats/NAME.py", "SERVER/server.toml"]
    assert "rest-named" in copy.run("loadtest", "compare", "--help")
    measured = copy.run(
        *("loadtest", "sweep", "tf_serving", "--wire", "rest-named", "--any-port", "--no-pin"),
        *("--connections", "1", "--duration", "0.5", "--warmup", "0", "--json", "-"),
    )
    (run,) = json.loads(measured)
    assert (run["run"]["wire"], run["requests"]["mismatched"], run["requests"]["errors"]) == ("rest-named", 0, {})
    assert run["requests"]["ok"] > 0
    assert "Contracts: 2 kept, 0 broken." in copy.run_tool("lint-imports", "--no-cache")
