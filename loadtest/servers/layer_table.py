"""The optional table ``[layers]`` of a server.toml: how a server is started so that it tells its CPU time by layer.

    [layers]
    env = { … }           variables that switch it on; templates, with `layers_dir` for the folder of the counters
    requests = "…"        the layer that is called exactly once for each request that is answered
    pools = "…"           the layer that may compute on threads of its own, where there is one
    rest = "…"            the layer that the CPU time is of which a process with counters spends beside them
    others = "…"          the layer that processes without counters are of

    [layers.calls]        the calls of each layer, as ``module:path``

Each process that has something to count keeps a file in that folder, whose form `loadtest.machine.layer_counters` has.
A Python server gets it from the folder layer_clock/ of the project on its PYTHONPATH.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from loadtest.servers.toml_table import TomlTable

CALL = re.compile(r"[\w.]+:[\w*]+(\.[\w*]+)*")


@dataclass(frozen=True)
class LayerTable:
    """What ``[layers]`` says.

    Attributes:
        env: Template of each variable that switches the counters on.
        calls: Calls of each layer, in the order in which layers are told.
        requests: The layer that is called once for each answer.
        rest: The layer of a process's CPU time beyond its counters.
        others: The layer of the processes that have no counters.
        pools: The layer that may compute on threads of its own; empty where none does.
    """

    env: Mapping[str, str]
    calls: Mapping[str, tuple[str, ...]]
    requests: str
    rest: str
    others: str
    pools: str = ""

    @property
    def names(self) -> list[str]:
        """Every layer: what comes to a server from outside first."""
        return list(dict.fromkeys([self.others, self.rest, *self.calls]))


def read_layer_table(table: TomlTable) -> LayerTable:
    """Read the table.

    Raises:
        ValueError: If a key is missing, unknown or of another type, or names what is no layer or no call.
    """
    table.only("env", "calls", "requests", "rest", "others", "pools")
    named = table.table("calls")
    calls = {layer: named.texts(layer) for layer in named.values}
    for layer, targets in calls.items():
        for target in targets:
            if not CALL.fullmatch(target):
                raise ValueError(f"{named.place(layer)} must name calls as module:path, not {target!r}")
    requests, pools = table.text("requests"), table.text("pools", "")
    for key, layer in (("requests", requests), ("pools", pools)):
        if layer and layer not in calls:
            raise ValueError(f"{table.place(key)} must be one of {', '.join(calls)}, not {layer!r}")
    if not requests:
        raise ValueError(f"{table.place('requests')} is empty")
    return LayerTable(table.texts_by_name("env"), calls, requests, table.text("rest"), table.text("others"), pools)
