"""A run of its own that tells where a server's CPU time goes: the server counts it, layer by layer.

It feeds nothing else: what a server is measured with has no counters in it.
"""

from collections.abc import Callable

from loadtest.errors import LoadtestError
from loadtest.experiments.contender import Contender
from loadtest.experiments.server_run import measure_server
from loadtest.judge.breakdown import Breakdown, divide, not_told
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.findings import failure
from loadtest.launch.launcher import Launcher
from loadtest.launch.launcher import running as up
from loadtest.launch.local import LocalServer
from loadtest.load.clients import Progress
from loadtest.load.plan import Load
from loadtest.load.schedule import Closed
from loadtest.machine.layer_counters import Spent, read_spent
from loadtest.machine.run_folder import RunFolder
from loadtest.machine.usage import Usage
from loadtest.servers.instrumented_server import instrumented, why_no_layers
from loadtest.servers.layer_table import LayerTable

LENGTH_S = 8.0
WARMUP_S = 5.0
"""Longest warm-up."""


def break_down(
    one: Contender,
    launcher: Launcher,
    plan: ComparisonPlan,
    *,
    length_s: float = LENGTH_S,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Breakdown:
    """Start a server with its counters switched on, put it under a closed loop, and divide its CPU time.

    Args:
        one: The server, and the wire format that it is asked over.
        launcher: One that starts processes of this machine.
        plan: Connections, batch, seed, tries and limits of the comparison.
        length_s: Length of the closed loop.
        on_progress: Called about once a second.

    Returns:
        The layers, or why they cannot be told: that is no fault of the server.
    """
    try:
        why = why_no_layers(one.server)
        if why or one.server.layers is None:
            return not_told(why)
        return _counted(one, one.server.layers, launcher, plan, length_s, on_progress)
    except LoadtestError as error:
        return Breakdown(faults=failure(error))


def _counted(
    one: Contender,
    table: LayerTable,
    launcher: Launcher,
    plan: ComparisonPlan,
    length_s: float,
    on_progress: Callable[[Progress], None],
) -> Breakdown:
    with RunFolder("layers") as folder, up(launcher, [instrumented(one.server, folder)]) as (running,):
        assert isinstance(running, LocalServer), "a local launcher starts processes"
        server, readings = running, list[dict[int, Spent]]()

        def usage() -> Usage:
            readings.append(read_spent(server.pid, folder))
            return server.usage()

        warmup_s = min(plan.warmup_s, WARMUP_S)
        load = Load(Closed(length_s), warmup_s, plan.connections, seed=plan.seed, timeout_s=plan.timeout_s)
        for _ in range(plan.tries):  # what the client or the machine spoiled is taken again
            run, used = measure_server(
                running,
                load,
                launcher.placement,
                wire=one.wire,
                batch=plan.batch,
                on_progress=on_progress,
                usage=usage,
            )
            if not run.spoiled:
                break
    before, after = readings[-2:]
    return divide(before, after, run, used, table)
