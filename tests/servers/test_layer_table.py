"""The table [layers] of server.toml: what it has to say, and that what it says of the project's code is so."""

import ast
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.errors import UsageError
from loadtest.servers.artifact import ROOT
from loadtest.servers.instrumented_server import instrumented, why_no_layers
from loadtest.servers.server_folder import Server
from loadtest.servers.server_toml import load_servers

FOLDERS = {"handler": "torchserve", "predict_body": "flask_server"}
"""Where the sources are of modules that a .mar holds side by side."""


def test_a_variant_tells_what_its_server_tells(servers: Mapping[str, Server]) -> None:
    """Every server of the project has the table, its variants the same one."""
    for server in servers.values():
        assert server.layers is not None
        assert server.layers is servers[server.name].layers
        assert server.layers.names[0] == "HTTP server"
        assert {"framework", "parsing", "forward pass", "encoding"} <= set(server.layers.names)


def test_counters_are_switched_on_by_the_environment_alone(servers: Mapping[str, Server], tmp_path: Path) -> None:
    """The command is the same, and the server that is measured has no such variable."""
    for server in servers.values():
        with_counters = instrumented(server, tmp_path)
        assert with_counters.names["layers_dir"] == tmp_path
        for plain, counting in zip(server.launches, with_counters.launches, strict=True):
            assert counting.command == plain.command
            assert not any("LAYER_CLOCK" in name for name in plain.env)
            assert "{root}/layer_clock" in counting.env["PYTHONPATH"]


def test_a_program_without_counters_says_why(servers: Mapping[str, Server]) -> None:
    """The genuine TensorFlow Serving cannot be divided, its stand-in can; nor can a server without the table."""
    genuine, embedded = servers["tf_serving"].launches
    assert "without counters" in why_no_layers(
        replace(servers["tf_serving"], launches=(replace(genuine, requires=""),))
    )
    assert not why_no_layers(replace(servers["tf_serving"], launches=(embedded,)))
    assert why_no_layers(replace(servers["torchserve"], layers=None)) == "its server.toml has no [layers]"


def test_every_call_that_is_named_exists(servers: Mapping[str, Server]) -> None:
    """Those of the project's own code, in modules that no run here imports too."""
    checked = 0
    for server in servers.values():
        assert server.layers is not None
        for target in (one for targets in server.layers.calls.values() for one in targets):
            module, _, place = target.partition(":")
            parts = module.split(".")
            base = ROOT / FOLDERS[parts[0]] if parts[0] in FOLDERS else ROOT
            file = base.joinpath(*parts).with_suffix(".py")
            if "*" in place or not file.is_file():
                continue
            body: list[ast.stmt] = ast.parse(file.read_text(encoding="utf-8")).body
            for name in place.split("."):
                defined = [one for one in body if isinstance(one, ast.ClassDef | ast.FunctionDef) and one.name == name]
                assert defined, target
                body = defined[0].body
            checked += 1
    assert checked > 20


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('requests = "encoding"', 'requests = "answers"', "layers.requests must be one of framework, parsing"),
        ('requests = "encoding"', 'requests = ""', "layers.requests is empty"),
        ('pools = "forward pass"', 'pools = "forward"', "layers.pools must be one of framework, parsing"),
        ('rest = "HTTP server"\nothers', "others", "layers.rest must be a string"),
        ('pools = "forward pass"', 'pool = "forward pass"', "layers.pool is not known; there are: env, calls"),
        (
            '"flask.app:Flask.wsgi_app"',
            '"flask.app.Flask.wsgi_app"',
            "layers.calls.framework must name calls as module",
        ),
        ('["flask.app:Flask.wsgi_app"]', '"flask.app:Flask.wsgi_app"', "must be a list of strings"),
    ],
)
def test_a_table_that_says_something_else_is_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    """With the file and the key."""
    folder = tmp_path / "flask_server"
    folder.mkdir()
    text = (ROOT / "flask_server" / "server.toml").read_text(encoding="utf-8")
    assert old in text
    (folder / "server.toml").write_text(text.replace(old, new))
    with pytest.raises(UsageError, match=r"server\.toml does not keep the contract") as refused:
        load_servers(tmp_path)
    assert told in str(refused.value)
