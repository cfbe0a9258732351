"""The table [setup] of a server.toml, and the facts beside it."""

import datetime
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.errors import UsageError
from loadtest.servers.server_folder import Server
from loadtest.setup.declared import read_declared
from loadtest.setup.installed_packages import requirements_of
from loadtest.setup.looked_up import read_facts

DEFAULTS = ["flask_server", "tf_serving", "torchserve"]


@pytest.mark.parametrize("name", DEFAULTS)
def test_what_a_server_declares_exists(name: str, servers: Mapping[str, Server]) -> None:
    """The extra, the variant, the ports and the files that the table names are there."""
    server = servers[name]
    declared = read_declared(server)
    assert requirements_of(declared.extra)
    if declared.batching:
        assert f"{name}:{declared.batching.variant}" in servers
    for probe in (declared.health, declared.metrics):
        assert probe is None or probe.port in server.ports
    assert set(declared.defaults) <= set(server.written_files)


def test_a_table_is_optional(servers: Mapping[str, Server]) -> None:
    """A server folder without it is measured as far as that goes."""
    declared = read_declared(replace(servers["flask_server"], setup={}))
    assert declared.extra == "flask_server"
    assert declared.batching is None


def test_a_variant_has_keys_of_its_own(servers: Mapping[str, Server]) -> None:
    """The variant under TensorFlow reads other files than the one under PyTorch."""
    assert read_declared(servers["flask_server:tensorflow"]).artifact_files != (
        read_declared(servers["flask_server"]).artifact_files
    )


@pytest.mark.parametrize(
    ("setup", "message"),
    [
        ({"batch": {}}, "unknown batch; there are extra"),
        ({"metrics": {"port": "rest"}}, "path"),
        ({"batching": {"variant": "x", "other": 1}}, "other"),
        ({"versions": {"setting": "x"}}, "predict"),
        ({"health": "rest"}, r"\[setup\] cannot be read"),
    ],
)
def test_a_table_that_cannot_be_read_is_named(
    servers: Mapping[str, Server], setup: dict[str, object], message: str
) -> None:
    """A typing error is one line with the file and the key."""
    with pytest.raises(UsageError, match=rf"server\.toml.*{message}"):
        read_declared(replace(servers["flask_server"], setup=setup))


@pytest.mark.parametrize("name", DEFAULTS)
def test_facts_have_a_source_and_a_day(name: str, servers: Mapping[str, Server]) -> None:
    """Nothing is claimed that cannot be looked up again, and nothing is dated in the future."""
    facts = read_facts(servers[name])
    assert {"licence", "maintenance", "arm64"} <= {fact.name for fact in facts}
    for fact in facts:
        assert fact.text
        assert fact.source.startswith(("https://", "pip "))
        assert fact.date <= datetime.date.today()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[fact]]\nname = "a"\ntext = "b"\nsource = ""\ndate = 2026-01-31\n', "'a' needs a source"),
        ('[[fact]]\nname = "a"\ntext = "b"\nsource = "c"\ndate = "today"\n', "'a' needs a source and a date"),
        ('[[fact]]\nname = "a"\n', "a fact has name, text, source and date"),
        ("[[fact", "cannot be read"),
    ],
)
def test_a_fact_without_its_source_is_refused(
    servers: Mapping[str, Server], tmp_path: Path, text: str, message: str
) -> None:
    """A hearsay does not get into a comparison."""
    (tmp_path / "facts.toml").write_text(text)
    with pytest.raises(UsageError, match=rf"facts\.toml.*{message}"):
        read_facts(replace(servers["flask_server"], folder=tmp_path))


def test_facts_are_optional(servers: Mapping[str, Server], tmp_path: Path) -> None:
    """A folder without facts.toml has none."""
    assert read_facts(replace(servers["flask_server"], folder=tmp_path)) == ()
