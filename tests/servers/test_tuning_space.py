"""The table [tune] of a server.toml: what it declares, and what a configuration of it starts."""

import re
import string
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from loadtest.errors import UsageError
from loadtest.experiments.proposals import Space
from loadtest.servers.configured_server import Surroundings, configuration_files, configured, space_of
from loadtest.servers.server_folder import Server
from loadtest.servers.toml_table import TomlTable
from loadtest.servers.tuning_space import TuningSpace, read_tuning_space
from tests.servers.test_server_folders import NAMES

SERVERS = ("flask_server", "torchserve", "tf_serving")
AROUND = Surroundings("digits", "1", "fixed", 1)
SPACE = """
[knobs.workers]
help = "processes"
from = 1
to_per_core = 4
default_per_core = 1

[knobs.batching]
help = "requests share a forward pass"
values = ["off", "on"]
default = "off"

[knobs.size]
help = "of a batch"
from = 2
to = 16
scale = "log"
default = 100
when = { batching = "on" }

[[apply]]
args = ["--workers", "{knobs[workers]}"]
"""


def read(text: str) -> TuningSpace:
    """The space of a text."""
    return read_tuning_space(TomlTable(tomllib.loads(text), ""))


def test_values_and_defaults_follow_the_cores() -> None:
    """Ranges are linear or double, count for each core where they say so, and always hold the default."""
    space = read(SPACE)
    assert space.knob("workers").values(1) == (1, 2, 3, 4)
    assert space.knob("workers").values(2) == tuple(range(1, 9))
    assert space.knob("batching").values(1) == ("off", "on")
    assert space.knob("size").values(1) == (2, 4, 8, 16, 100)
    assert space.default(2) == {"workers": 2, "batching": "off", "size": 100}


def test_a_knob_that_does_not_count_has_its_default() -> None:
    """Configurations that do the same are one."""
    space = read(SPACE)
    assert space.settled({"workers": 1, "batching": "off", "size": 4}, 1, {})["size"] == 100
    assert space.settled({"workers": 1, "batching": "on", "size": 4}, 1, {})["size"] == 4
    every = list(Space(space, 1, {}).all())
    assert len(every) == 4 * (1 + 5)
    assert len({tuple(one.items()) for one in every}) == len(every)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("scale = ", "scales = ", "knobs.size.scales is not known; there are: help, values, "),
        ('"log"', '"square"', "knobs.size.scale must be linear or log, not 'square'"),
        ("from = 2", "from = 20", "knobs.size.from must be from 1 to the end of the range, 16, not 20"),
        ("from = 2\n", "", "knobs.size.from must be a whole number, not None"),
        ("from = 2", 'from = "2"', "knobs.size.from must be a whole number, not '2'"),
        ("to = 16\n", "", "knobs.size.to: give either to or to_per_core"),
        ("to = 16", "to = 16\nto_per_core = 2", "knobs.size.to: give either to or to_per_core"),
        ("default = 100", "", "knobs.size.default: give either default or default_per_core"),
        ("default = 100", 'default = "x"', "knobs.size.default must be a whole number, not 'x'"),
        ('default = "off"', "default = 0", "knobs.batching.default must be of the type of the values, not 0"),
        ('["off", "on"]', '["off", "off"]', "knobs.batching.values must hold different values of one type"),
        ('["off", "on"]', '["off", 1]', "knobs.batching.values must hold different values of one type"),
        ('["off", "on"]', "[]", "knobs.batching.values must be a list of whole numbers or of strings"),
        ('["off", "on"]', "[true]", "knobs.batching.values must be a list of whole numbers or of strings"),
        ("from = 2", "values = [1]\nfrom = 2", "knobs.size.values: a knob has either values, or from and to"),
        ('when = { batching = "on" }', 'when = { batch = "on" }', "knobs.size.when.batch is not known"),
        ('help = "processes"\n', 'help = "processes"\nwhen = { size = 1 }\n', "knobs.workers.when.size is not known"),
        ('help = "processes"\n', "", "knobs.workers.help must be a string, not None"),
        ("[[apply]]", "[apply]", "apply must be a list of tables"),
        ("args = [", "arg = [", "apply[0].arg is not known; there are: args, env, files, when, unless"),
        ('["--workers", ', '[7, "--workers", ', "apply[0].args[0] must be a string, not 7"),
        ("to_per_core = 4", "to_per_core = 400", "knobs.workers has more than 64 values: list them"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(before: str, after: str, told: str) -> None:
    """In one line, as everywhere in server.toml."""
    assert before in SPACE
    with pytest.raises(ValueError, match=re.escape(told)) as refused:
        read(SPACE.replace(before, after))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", SERVERS)
def test_every_value_reaches_the_server(name: str, servers: Mapping[str, Server], tmp_path: Path) -> None:
    """Another value of any knob changes what the server is started with; all templates can be filled."""
    server = servers[name]
    space = space_of(server)
    around = Surroundings("digits", "1", "varying", 1)
    first = space.settled({knob.name: knob.values(1)[-1] for knob in space.knobs}, 1, around.names)

    def started(configuration: Mapping[str, int | str]) -> tuple[object, ...]:
        one = configured(server, configuration, tmp_path, around)
        (launch, *_) = one.launches
        context = {**dict.fromkeys(NAMES - {"ports"}, "x"), "ports": dict.fromkeys(server.ports, 1), **one.names}
        words = [word.format_map(context) for word in launch.command]
        env = {key: value.format_map(context) for key, value in launch.env.items()}
        return words, env, configuration_files(server, configuration, "tuned", around)

    for knob in space.knobs:
        for value in knob.values(1):
            other = space.settled({**first, knob.name: value}, 1, around.names)
            assert (started(other) == started(first)) == (other == first), (knob.name, value)


@pytest.mark.parametrize("name", SERVERS)
def test_the_compose_file_changes_what_compose_starts(name: str, servers: Mapping[str, Server]) -> None:
    """It names the server's service, keeps what its command has beside knobs, and mounts what it names."""
    server = servers[name]
    space = space_of(server)
    most = space.settled({knob.name: knob.values(1)[-1] for knob in space.knobs}, 1, AROUND.names)
    files = configuration_files(server, most, "results/tuned/digits/it", AROUND)
    service = yaml.safe_load(files["compose.yaml"])["services"][server.compose_service]
    command = [str(word) for word in service["command"]]
    root = Path(__file__).resolve().parents[2]
    ours = yaml.safe_load((root / "compose.yaml").read_text(encoding="utf-8"))["services"][server.compose_service]
    flags = {str(word).partition("=")[0] for word in ours["command"] if str(word).startswith("--")}
    assert flags <= {word.partition("=")[0] for word in command}
    for mount in service.get("volumes", []):
        source, target, _ = mount.split(":")
        assert Path(source).name in files
        assert any(target in word for word in command)


def test_batching_has_its_file_only_where_it_is_on(servers: Mapping[str, Server], tmp_path: Path) -> None:
    """TensorFlow Serving refuses the file without the flag; models of varying length are padded."""
    server = servers["tf_serving"]
    off = {**space_of(server).default(1)}
    on = {**off, "batching": "on", "max_batch_size": 64}
    assert set(configuration_files(server, off, "it", AROUND)) == {"compose.yaml"}
    assert "--enable_batching" not in configured(server, off, tmp_path, AROUND).launches[0].command
    assert "max_batch_size { value: 64 }" in configuration_files(server, on, "it", AROUND)["batching.config"]
    assert "--enable_batching" in configured(server, on, tmp_path, AROUND).launches[0].command
    varying = configuration_files(server, on, "it", Surroundings("minilm", "1", "varying", 1))
    assert varying["batching.config"].endswith("pad_variable_length_inputs: true\n")


def test_a_tuned_server_is_labelled(servers: Mapping[str, Server], tmp_path: Path) -> None:
    """Whatever of its ways to start is taken, it never bears the name of the default."""
    server = servers["tf_serving"]
    one = configured(server, space_of(server).default(1), tmp_path, AROUND, "tuned for p99<50ms on 1 core")
    assert one.key == "tf_serving:tuned"
    assert one.label == "TensorFlow Serving, tuned for p99<50ms on 1 core"
    assert one.launches[1].label == "TF Serving API (embedded), tuned for p99<50ms on 1 core"
    assert one.launches[1].stands_in_for == "TensorFlow Serving"


def test_a_variant_is_not_tuned(servers: Mapping[str, Server]) -> None:
    """Its defaults are others than those that [tune] declares."""
    with pytest.raises(UsageError, match="torchserve:batching has nothing to tune"):
        space_of(servers["torchserve:batching"])


def test_a_file_with_an_unknown_name_is_refused(servers: Mapping[str, Server]) -> None:
    """The names that exist are those of a template, and the knobs."""
    for name in SERVERS:
        for apply in space_of(servers[name]).applies:
            for template in (*apply.args, *apply.env.values(), *apply.files.values()):
                fields = [field for _, field, _, _ in string.Formatter().parse(template) if field]
                used = {re.split(r"[.\[]", field)[0] for field in fields}
                assert used <= NAMES | {"knobs", "tuned"}, template
