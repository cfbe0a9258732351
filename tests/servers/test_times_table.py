"""``[server_times]`` of a server.toml: what it may say."""

import tomllib
from collections.abc import Mapping

import pytest

from loadtest.servers.server_folder import Server
from loadtest.servers.times_table import TimesTable, read_times_table
from loadtest.servers.toml_table import TomlTable

GOOD = """
port = "rest"
path = "/metrics"
[request]
sum = "time_sum"
count = "time_count"
unit = "ms"
labels = { of = "predict" }
"""


def read(text: str) -> TimesTable:
    """The table of a server with one port."""
    return read_times_table(TomlTable(tomllib.loads(text), "server_times"), {"rest": 8000})


def test_a_time_has_its_series_and_its_unit() -> None:
    """A time that is not named is not told."""
    table = read(GOOD)
    assert list(table.series) == ["request"]
    one = table.series["request"]
    assert (one.sum, one.count, one.unit_s, one.labels) == ("time_sum", "time_count", 1e-3, {"of": "predict"})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"rest"', '"grpc"', "server_times.port must be one of rest, not 'grpc'"),
        ('"ms"', '"minutes"', "server_times.request.unit must be one of s, ms, us, not 'minutes'"),
        ('sum = "time_sum"', "", "server_times.request.sum must be a string, not None"),
        ("[request]", "[answer]", "server_times.answer is not known; there are: port, path, request, queue, inference"),
        ('unit = "ms"', 'unit = "ms"\nwith_queue = 1', "with_queue must be true or false, not 1"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, message: str) -> None:
    """A server.toml that does not keep the contract is refused with the place."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011  (the message is compared below)
        read(GOOD.replace(old, new))
    assert message in str(refused.value)


@pytest.mark.parametrize("key", ["flask_server", "tf_serving", "torchserve", "tf_serving:batching"])
def test_every_server_says_where_its_times_are(key: str, servers: Mapping[str, Server]) -> None:
    """Each tells the whole of a request at least; a variant what its server does."""
    times = servers[key].times
    assert times is not None
    assert "request" in times.series
