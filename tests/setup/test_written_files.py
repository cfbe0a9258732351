"""What a person writes and types: lines, keys and commands, counted from files."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.errors import UsageError
from loadtest.servers.artifact import ROOT
from loadtest.servers.server_folder import Server
from loadtest.setup.code_lines import count_lines
from loadtest.setup.config_keys import read_settings
from loadtest.setup.declared import DeclaredSetup, read_declared
from loadtest.setup.readme_commands import commands_of
from loadtest.setup.written_files import count_written

PYTHON = '''"""A module.

Its docstring has three lines.
"""

# A comment.
import os  # a comment beside code


class Thing:
    """A docstring."""

    text = """a string

    that is data"""

    def method(self):
        "a docstring too"
        return (
            # a comment between
            os.sep
        )


def short(): "docstring and code on one line"
'''


def test_python_lines_are_those_with_code(tmp_path: Path) -> None:
    """Comments, blank lines and docstrings are not counted; a string that is data is, save for its blank lines."""
    path = tmp_path / "thing.py"
    path.write_text(PYTHON)
    # import, class, text (2), def, return, os.sep, closing parenthesis, def short
    assert count_lines(path) == 9


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("a.properties", "# no\n! no\n\nkey=value # part of the value\n  other : value\n", 2),
        ("a.config", "# no\nkey: 1\n\n  # no\n{\n", 2),
        ("Dockerfile", "# no\nFROM x\n\nRUN a \\\n    b\n", 3),
        ("a.json", '{\n"a": "#"\n}\n', 3),
        ("empty.py", '"""Nothing but a docstring."""\n', 0),
    ],
)
def test_other_lines_are_those_that_are_neither_blank_nor_comment(
    tmp_path: Path, name: str, text: str, lines: int
) -> None:
    """Each format has its own mark of a comment."""
    path = tmp_path / name
    path.write_text(text)
    assert count_lines(path) == lines


def test_what_is_no_python_is_named(tmp_path: Path) -> None:
    """A file that cannot be parsed is an error with its name and not a wrong count."""
    path = tmp_path / "broken.py"
    path.write_text("def f(:\n")
    with pytest.raises(UsageError, match=r"broken\.py cannot be counted"):
        count_lines(path)


@pytest.mark.parametrize(
    ("name", "text", "settings"),
    [
        (
            "a.properties",
            "# comment\nport=80\nname : x y\nlong=a,\\\n  b\n! comment\nurl=http://a:1\n",
            [("port", "80"), ("name", "x y"), ("long", "a,b"), ("url", "http://a:1")],
        ),
        (
            "a.config",
            "list { # a comment {\n  one { name: \"a # b\" num: 1 }\n  one { name: 'c', kind: FAST tags: [1, 2] }\n}\n",
            [
                ("list.one.name", "a # b"),
                ("list.one.num", "1"),
                ("list.one.name", "c"),
                ("list.one.kind", "FAST"),
                ("list.one.tags", "1 2"),
            ],
        ),
        ("a.toml", '[a]\nb = 1\nc = ["x"]\n[[d]]\ne = true\n', [("a.b", "1"), ("a.c", '["x"]'), ("d.e", "true")]),
        ("a.json", '{"a": {"b": null}}', [("a.b", "null")]),
    ],
)
def test_keys_are_read(tmp_path: Path, name: str, text: str, settings: list[tuple[str, str]]) -> None:
    """Nested keys are joined by dots, repeated ones are there each time."""
    path = tmp_path / name
    path.write_text(text)
    assert read_settings(path) == settings


def test_a_file_without_keys_has_none(tmp_path: Path) -> None:
    """Code is not taken for configuration."""
    path = tmp_path / "a.py"
    path.write_text("a = 1\n")
    assert read_settings(path) is None


@pytest.mark.parametrize("text", ["a {", "a }", "a:", "a: :", "} a: 1", "a { b: [1 }"])
def test_a_broken_configuration_is_named(tmp_path: Path, text: str) -> None:
    """Braces that do not match and keys without a value are an error."""
    path = tmp_path / "a.config"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"a\.config cannot be read"):
        read_settings(path)


def test_commands_are_those_of_the_first_shell_block() -> None:
    """A command over several lines is one, and && separates two; other blocks and comments do not count."""
    readme = """
```python
no = "command"
```
```sh
# first build
python -m build && run --now
curl http://host -d '{"a": [
  1, 2]}'
docker run \\
  image | tee log
```
```sh
not counted
```
"""
    assert commands_of(readme) == [
        "python -m build",
        "run --now",
        'curl http://host -d {"a": [ 1, 2]}',
        "docker run image | tee log",
    ]


def test_prompts_are_not_part_of_a_command() -> None:
    """A console block may show the prompt."""
    assert commands_of("```console\n$ one\n$ two\n```\n") == ["one", "two"]


def test_a_readme_without_a_shell_block_has_no_commands() -> None:
    """Nothing is guessed from text."""
    assert commands_of("run `it`\n") == []


def _server_of(servers: Mapping[str, Server], root: Path, files: Mapping[str, str], *written: str) -> Server:
    """A server in the folder `mine` of a small project, which is laid down: the text of each file by its path."""
    for name, text in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    return replace(servers["flask_server"], folder=root / "mine", written_files=written)


def test_files_are_counted_by_kind_and_against_the_defaults(servers: Mapping[str, Server], tmp_path: Path) -> None:
    """The kind comes from the place and the name; a key with the default's value is set but not changed."""
    files = {
        "models/export.py": "export = 1\n",
        "mine/app.py": "a = 1\nb = 2\n",
        "mine/Dockerfile": "FROM x\n",
        "mine/my.properties": "same=1\nother=2\nunheard=3\n",
        "mine/README.md": "```sh\none\ntwo\n```\n",
    }
    server = _server_of(servers, tmp_path, files, "app.py", "Dockerfile", "my.properties", "../models/export.py")
    declared = DeclaredSetup("", defaults={"my.properties": {"same": "1", "other": "1"}})
    written = count_written(server, declared, tmp_path)
    assert {file.kind: file.lines for file in written.files} == {"code": 2, "image": 1, "configuration": 3, "export": 1}
    assert (written.keys_set, written.keys_changed) == (3, 2)
    assert written.commands == ("one", "two")
    assert "--port" in written.flags
    assert "OMP_NUM_THREADS" in written.environment
    assert [file.path for file in written.files][3] == "models/export.py"


def test_what_a_file_imports_counts_and_the_model_does_not(servers: Mapping[str, Server], tmp_path: Path) -> None:
    """Of code it suffices to name where it begins; the model is no server's; nothing counts twice."""
    files = {
        "models/workload.py": "import models.errors\n",
        "models/errors.py": "a = 1\n",
        "models/export.py": "from models import packing, workload\n",
        "models/packing.py": "import models.errors\nb = 2\n",
        "mine/__init__.py": '"""A package."""\n',
        "mine/app.py": "import mine.body\n",
        "mine/body.py": "c = 3\n",
        "mine/log.xml": "<a/>\n",
        "mine/README.md": "",
    }
    server = _server_of(servers, tmp_path, files, "app.py", "body.py", "../models/export.py", "log.xml")
    written = count_written(server, DeclaredSetup("", image_files=("log.xml",)), tmp_path)
    assert [(file.path, file.kind) for file in written.files] == [
        ("mine/app.py", "code"),
        ("mine/body.py", "code"),
        ("models/export.py", "export"),
        ("mine/log.xml", "image"),
        ("models/packing.py", "export"),
    ]


def test_what_other_wire_formats_need_is_counted_apart(servers: Mapping[str, Server], tmp_path: Path) -> None:
    """It has a kind of its own, and its lines are not among those of a deployment that answers JSON."""
    files = {
        "mine/app.py": "import mine.npy\nimport mine.rows\n",
        "mine/npy.py": "a = 1\nb = 2\nc = 3\n",
        "mine/rows.py": "d = 4\n",
        "mine/README.md": "",
    }
    server = _server_of(servers, tmp_path, files, "app.py")
    written = count_written(server, DeclaredSetup("", wire_files=("npy.py",)), tmp_path)
    kinds = {file.path: file.kind for file in written.files}
    assert kinds == {"mine/app.py": "code", "mine/npy.py": "other_wires", "mine/rows.py": "code"}
    assert (written.by_kind["other_wires"].lines, written.by_kind["code"].lines, written.lines) == (3, 3, 3)


def test_what_operates_the_server_has_a_kind_of_its_own_in_the_sum(
    servers: Mapping[str, Server], tmp_path: Path
) -> None:
    """Who writes the server writes it too, so its lines are in the sum; who only wants predictions sees them apart."""
    files = {"mine/app.py": "import mine.metrics\n", "mine/metrics.py": "a = 1\nb = 2\n", "mine/README.md": ""}
    server = _server_of(servers, tmp_path, files, "app.py")
    written = count_written(server, DeclaredSetup("", operation_files=("metrics.py",)), tmp_path)
    kinds = {file.path: file.kind for file in written.files}
    assert kinds == {"mine/app.py": "code", "mine/metrics.py": "operation"}
    assert (written.by_kind["operation"].lines, written.by_kind["code"].lines, written.lines) == (2, 1, 3)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("flask_server", "operation_files"),
        ("flask_server", "wire_files"),
        ("tf_serving", "wire_files"),
        ("torchserve", "wire_files"),
    ],
)
def test_each_file_that_is_set_apart_counts(name: str, kind: str, servers: Mapping[str, Server]) -> None:
    """What is set apart is counted for some form of the server: a name that is out of date would set nothing apart."""
    forms = [one for one in servers.values() if one.name == name]
    declared = {(one.folder / file).resolve() for one in forms for file in getattr(read_declared(one), kind)}
    counted = {ROOT / file.path for one in forms for file in count_written(one, read_declared(one)).files}
    assert declared
    assert declared - counted == set()


def test_a_stand_in_counts_as_the_server_it_stands_for(servers: Mapping[str, Server]) -> None:
    """Its own variables are nothing that somebody sets who has the real one."""
    server = servers["tf_serving"]
    stand_in = next(launch for launch in server.launches if launch.stands_in_for)
    assert stand_in.env
    alone = count_written(replace(server, launches=(stand_in,)), read_declared(server))
    written = count_written(server, read_declared(server))
    assert alone.environment == tuple(stand_in.env)
    assert written.environment == ()
    assert written.flags == alone.flags


@pytest.mark.parametrize("name", ["flask_server", "tf_serving", "torchserve"])
def test_every_server_can_be_counted(name: str, servers: Mapping[str, Server]) -> None:
    """Each folder's README leads to a prediction: build the model, start the server, ask it."""
    server = servers[name]
    written = count_written(server, read_declared(server))
    assert written.lines > 0
    assert written.commands[0].startswith("python -m models build")
    assert written.commands[-1].startswith("curl ")
    assert 0 <= written.keys_changed <= written.keys_set
