"""The optional table ``[server_times]`` of a server.toml: which metrics of the server tell the times of a request.

    [server_times]
    port = "…"            where its Prometheus page is
    path = "…"

    [server_times.request]      the whole of a request in the server
    [server_times.queue]        the part of it in which it waits for its turn
    [server_times.inference]    the part of it in which the model computes

Each of the three is optional and names series of the page that only grow:

    sum = "…"             the time of all requests together
    count = "…"           how many they were
    unit = "us"           of the sum: s, ms or us
    labels = { … }        the series that count, where not all of that name do
    with_queue = true     of inference: the server counts the wait in the queue as a part of it
"""

from collections.abc import Mapping
from dataclasses import dataclass

from loadtest.servers.toml_table import TomlTable

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
"""In seconds."""


@dataclass(frozen=True)
class TimeSeries:
    """Where one of the times stands.

    Attributes:
        sum: Name of the series that holds the time of all requests together.
        count: Name of the one that counts them.
        unit_s: Unit of the sum, in seconds.
        labels: What the labels of a series must be for it to count.
        with_queue: Whether the wait in the queue is a part of it.
    """

    sum: str
    count: str
    unit_s: float
    labels: Mapping[str, str]
    with_queue: bool


@dataclass(frozen=True)
class TimesTable:
    """What ``[server_times]`` says.

    Attributes:
        port: Name of the port in ``[ports]``.
        path: Path template of the page.
        series: Where each time stands, by its name: ``request``, ``queue``, ``inference``.
    """

    port: str
    path: str
    series: Mapping[str, TimeSeries]


def read_times_table(table: TomlTable, ports: Mapping[str, int]) -> TimesTable:
    """Read the table.

    Raises:
        ValueError: If a key is missing, unknown or of another type, or a port or a unit does not exist.
    """
    names = ("request", "queue", "inference")
    table.only("port", "path", *names)
    port = table.text("port")
    if port not in ports:
        raise ValueError(f"{table.place('port')} must be one of {', '.join(ports)}, not {port!r}")
    series = {name: _series(table.table(name)) for name in names if name in table.values}
    return TimesTable(port, table.text("path"), series)


def _series(table: TomlTable) -> TimeSeries:
    table.only("sum", "count", "unit", "labels", "with_queue")
    unit, with_queue = table.text("unit"), table.values.get("with_queue", False)
    if unit not in UNITS:
        raise ValueError(f"{table.place('unit')} must be one of {', '.join(UNITS)}, not {unit!r}")
    if not isinstance(with_queue, bool):
        raise ValueError(f"{table.place('with_queue')} must be true or false, not {with_queue!r}")
    return TimeSeries(table.text("sum"), table.text("count"), UNITS[unit], table.texts_by_name("labels"), with_queue)
