"""Measures the ease of setup of several servers: everything of this package, one server after the other.

How long the forms take, for the three default servers on two cores: about 2 s to count what needs no start, 20 to 30 s
with the quick probes, and one and a half to two minutes with the full ones.
"""

import datetime
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from loadtest.errors import LoadtestError, UsageError
from loadtest.launch.launcher import Launcher
from loadtest.launch.running import RunningServer
from loadtest.machine.host import describe_host
from loadtest.servers.server_folder import Server
from loadtest.setup.cold_start import cold_start
from loadtest.setup.declared import DeclaredSetup, read_declared
from loadtest.setup.disk_size import image_size, measure_size
from loadtest.setup.idle_processes import read_idle_processes
from loadtest.setup.installed_program import read_program
from loadtest.setup.looked_up import read_facts
from loadtest.setup.probes.all_probes import probe_capabilities
from loadtest.setup.probes.probe_context import ProbeContext
from loadtest.setup.server_setup import ServerSetup, TimeToCorrect
from loadtest.setup.setup_file import EaseOfSetup, SetupWorkload
from loadtest.setup.setup_plan import SetupPlan
from loadtest.setup.start_times import StartTimes, WarmStarts, warm_starts
from loadtest.setup.written_files import COUNTING, count_written


def measure_setup(
    wanted: Sequence[Server],
    servers: Mapping[str, Server],
    launcher: Launcher,
    plan: SetupPlan,
    say: Callable[[str], None] = lambda line: None,
    *,
    starts: Mapping[str, Sequence[float]] | None = None,
) -> EaseOfSetup:
    """Measure servers one after the other; one that fails keeps its place with what is known of it.

    Args:
        wanted: Which servers.
        servers: Every server and variant by key.
        launcher: How they are started.
        plan: What is measured.
        say: Told what is under way.
        starts: Seconds from a start to the first correct answer that were measured elsewhere, such as in a comparison's
            rounds, by the server's key; NaN is passed over. They count where the plan makes no warm starts of its own.

    Raises:
        UsageError: If a server folder, its facts or pyproject.toml cannot be read, or the launcher starts no servers.
    """
    if launcher.name == "network" and plan.starts_servers:
        raise UsageError("setup starts the servers itself: use --launcher local or compose, outside of a container")
    date = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    declared = {server.key: read_declared(server) for server in wanted}
    # What can be read without a start comes first: a mistake in a file is known at once and not after minutes.
    measurements = [
        _ServerMeasurement(
            _counted(server, declared[server.key], launcher),
            ProbeContext(server, declared[server.key], servers, launcher.artifact, launcher),
            say,
        )
        for server in wanted
    ]
    for measurement in measurements:
        measurement.run(plan, (starts or {}).get(measurement.context.server.key, ()))
    artifact = launcher.artifact
    return EaseOfSetup(
        date=date,
        command=tuple(sys.argv[1:]),
        plan=plan,
        host=describe_host(),
        launcher=launcher.describe(),
        workload=SetupWorkload(artifact.workload, artifact.version),
        servers={measurement.context.server.key: measurement.result() for measurement in measurements},
        counting=COUNTING,
    )


def _counted(server: Server, declared: DeclaredSetup, launcher: Launcher) -> ServerSetup:
    """What is known of a server before it is started."""
    return ServerSetup(
        label=launcher.label(server),
        runtime=server.runtime,
        timeline=TimeToCorrect(),
        size=measure_size(declared, launcher.artifact),
        written=count_written(server, declared),
        idle_processes=None,
        capabilities=(),
        facts=read_facts(server),
    )


class _ServerMeasurement:
    """Fills in what is found of one server, so that a failure leaves what is known until then.

    Attributes:
        found: What is known so far.
        context: What starts the server.
    """

    def __init__(self, counted: ServerSetup, context: ProbeContext, say: Callable[[str], None]) -> None:
        self.found = counted
        self.context = context
        self._say = say

    def run(self, plan: SetupPlan, given: Sequence[float]) -> None:
        """Carry out the plan; an error of the server is kept as a fault."""
        try:
            self._warm_starts(plan, given)
            self._capabilities(plan)
            self._cold_start(plan)
        except LoadtestError as error:
            self.found = replace(self.found, faults=(*self.found.faults, str(error)))

    def result(self) -> ServerSetup:
        """What was found, with what depends on the launch: whether pip installs it, and whether it is a stand-in.

        The launch is found by the server's label, which a container's image carries as well.
        """
        launch = self.context.server.launch_called(self.found.label)
        # At the end, since a launcher may have to build the image.
        size = replace(self.found.size, image=image_size(self.context.server))
        if launch is not None and not launch.in_python:
            size = replace(size, packages=None)  # it is not what pip installs
        stands_in_for = self.context.server.stood_in_for(self.found.label)
        cells = (replace(cell, stand_in=bool(stands_in_for) and not cell.looked_up) for cell in self.found.capabilities)
        return replace(self.found, size=size, stands_in_for=stands_in_for, capabilities=tuple(cells))

    def _warm_starts(self, plan: SetupPlan, given: Sequence[float]) -> None:
        known = [StartTimes(math.nan, math.nan, seconds) for seconds in given if not math.isnan(seconds)]
        if plan.repeat:
            context = self.context
            made = warm_starts(
                context.launcher,
                context.server,
                context.artifact,
                plan.repeat,
                say=self._tell,
                before_last_stop=self._read_idle,
            )
            warm = WarmStarts.of(made, "setup")
        elif known:
            warm = WarmStarts.of(known, "comparison")
        else:
            return
        self.found = replace(self.found, timeline=replace(self.found.timeline, warm=warm))

    def _capabilities(self, plan: SetupPlan) -> None:
        if plan.probes == "none":
            return
        on_start = (lambda running: None) if plan.repeat else self._read_idle
        cells = probe_capabilities(self.context, self.found.facts, self._tell, form=plan.probes, on_start=on_start)
        self.found = replace(self.found, capabilities=cells)

    def _cold_start(self, plan: SetupPlan) -> None:
        if plan.cold:
            context = self.context
            cold = cold_start(
                context.server, context.declared, context.launcher, clean_cache=plan.clean_cache, say=self._tell
            )
            self.found = replace(self.found, timeline=replace(self.found.timeline, cold=cold))

    def _read_idle(self, running: RunningServer) -> None:
        self.found = replace(
            self.found,
            label=running.label,
            idle_processes=read_idle_processes(running),
            size=replace(self.found.size, program=read_program(running)),
        )

    def _tell(self, line: str) -> None:
        self._say(f"{self.found.label}: {line}")
