"""Where the CPU time of a request goes in a server, layer by layer, and whether that can be believed.

A server counts the CPU time of its layers itself, in a run that feeds nothing else. What a process spends beside what
it counted is a remainder: it is of the layer that the server's contract says.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from loadtest.judge.findings import (
    COUNTED_OTHERWISE,
    LAYERS_BEYOND_CPU,
    LAYERS_NOT_ALL,
    NO_COUNTERS,
    NO_LAYERS,
    Finding,
)
from loadtest.judge.measured import MeasuredRun
from loadtest.machine.layer_counters import Spent
from loadtest.machine.usage import Usage
from loadtest.records import Count, Number
from loadtest.servers.layer_table import LayerTable

TICKS_S = 0.03
"""CPU time of a process comes in ticks of the kernel's clock, of 10 ms: two readings may be so far off."""
SHARE = 0.02
"""…and the layers of all processes may be so far from what the process tree used, read a moment before or after."""


@dataclass(frozen=True)
class Breakdown:
    """Where a server's CPU time goes.

    Attributes:
        layers_us: CPU time for a request in µs, by layer; empty where it cannot be told.
        remainders: Those of the layers that hold what is left of a process's CPU time.
        requests: Requests of the run, as the server counted them.
        cpu_us: CPU time of the whole process tree for a request, in this run.
        faults: Why the layers are not told.
    """

    layers_us: dict[str, float] = field(default_factory=dict)
    remainders: list[str] = field(default_factory=list)
    requests: Count = 0
    cpu_us: Number = math.nan
    faults: list[Finding] = field(default_factory=list)


def not_told(why: str) -> Breakdown:
    """That of a server that has no counters."""
    return Breakdown(faults=[Finding(NO_LAYERS, {"why": why})])


def divide(
    before: Mapping[int, Spent], after: Mapping[int, Spent], run: MeasuredRun, usage: Usage | None, table: LayerTable
) -> Breakdown:
    """Divide a server's CPU time among its layers.

    Args:
        before: What each process had spent when the run began.
        after: The same when it had ended.
        run: The run.
        usage: What the process tree used in it.
        table: What the server says of its layers.

    Returns:
        The layers, where the run is valid and they add up; else the reasons.
    """
    layers_s = dict.fromkeys(table.names, 0.0)
    requests, counting, lowest = 0, 0, 0.0
    for pid, now in after.items():
        then = before.get(pid, Spent(0.0))
        cpu_s = now.cpu_s - then.cpu_s
        if not now.calls:
            layers_s[table.others] += cpu_s
            continue
        counting += 1
        counted = {layer: spent - then.layers_s.get(layer, 0.0) for layer, spent in now.layers_s.items()}
        if table.pools:
            counted[table.pools] += now.pool_s - then.pool_s
        requests += now.calls[table.requests] - then.calls.get(table.requests, 0)
        for layer, spent in counted.items():
            layers_s[layer] += spent
        rest = cpu_s - sum(counted.values())
        lowest = min(lowest, rest)
        layers_s[table.rest] += rest
    answered, used_s = run.tally.ok, usage.cpu_s if usage else math.nan
    whole = sum(layers_s.values())
    faults = list(run.verdict.reasons)
    if not counting:
        faults.append(Finding(NO_COUNTERS))
    elif requests != answered:
        faults.append(Finding(COUNTED_OTHERWISE, {"counted": requests, "answered": answered}))
    if lowest < -TICKS_S or min(layers_s.values()) < -TICKS_S:
        faults.append(Finding(LAYERS_BEYOND_CPU, {"seconds": -min(lowest, *layers_s.values())}))
    if not abs(whole - used_s) <= SHARE * used_s + TICKS_S:
        faults.append(Finding(LAYERS_NOT_ALL, {"layers_s": whole, "used_s": used_s}))
    cpu_us = used_s / answered * 1e6 if answered else math.nan
    if faults:
        return Breakdown(requests=requests, cpu_us=cpu_us, faults=faults)
    told = {layer: max(spent, 0.0) / answered * 1e6 for layer, spent in layers_s.items()}
    remainders = [layer for layer in told if layer in (table.others, table.rest)]
    return Breakdown(told, remainders, requests, cpu_us)
