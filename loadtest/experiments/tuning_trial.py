"""One measurement of one configuration of a server: started anew, checked, warmed up, and its capacity looked for."""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from loadtest.errors import LaunchError, MeasurementError, ParityError
from loadtest.experiments.capacity_search import find_capacity
from loadtest.experiments.parity import check_parity, require_parity
from loadtest.experiments.server_run import measure_server
from loadtest.experiments.tuning import Measured
from loadtest.judge.findings import failure
from loadtest.judge.measured import MeasuredRun
from loadtest.judge.objective import Objective
from loadtest.judge.response_curve import fit
from loadtest.launch.launcher import LocalLauncher
from loadtest.launch.launcher import running as up
from loadtest.launch.running import RunningServer
from loadtest.load.clients import Progress
from loadtest.load.plan import Load
from loadtest.load.schedule import Closed, Poisson
from loadtest.machine.files import write_whole
from loadtest.machine.run_folder import RunFolder
from loadtest.servers.configured_server import Surroundings, configuration_files, configured, space_of
from loadtest.servers.server_folder import Server
from loadtest.servers.tuning_space import Configuration

WARMUP_S = 5.0
"""Longest warm-up: it ends when the server is steady. A Java runtime takes some seconds of load."""

CLOSED_S = 0.5
"""The closed loop after it shows about where the search for the capacity begins."""

START_SHARE = 0.6
PROBE_S = 2.5
SEARCHES_NEAR = 2
"""A search of two probes, or two of them in place of looking for the range of rates where it is known from before:
many times shorter than `loadtest capacity`."""

PATIENCE, LEAST_PATIENCE_S = 5.0, 15.0
"""A configuration that takes so many times as long to start as the default, and so long, is out."""


@dataclass
class TrialRunner:
    """Measures configurations of one server, each in a process of its own.

    Attributes:
        server: The server in its default form.
        launcher: How it is started.
        objective: What the capacity is looked for under.
        memory_mib: What its process tree may take at its peak.
        wire: Name of the wire format.
        batch: Instances in one request.
        connections: Connections of the client.
        on_progress: Called about once a second while it is under load.
        label: What tables call the server, once it was started in its default form.
        described: What was started then.
    """

    server: Server
    launcher: LocalLauncher
    objective: Objective
    memory_mib: float
    wire: str
    batch: int
    connections: int
    on_progress: Callable[[Progress], None] = lambda progress: None
    label: str = ""
    described: dict[str, Any] = field(default_factory=dict)

    @property
    def around(self) -> Surroundings:
        """What configurations may depend on beside knobs."""
        return Surroundings.of(self.launcher.artifact, self.launcher.placement.server_threads)

    def __call__(self, configuration: Configuration, seed: int, near: float = 0.0) -> Measured:
        """Measure a configuration.

        Args:
            configuration: A value for each knob.
            seed: Seed of the first schedule.
            near: About what its capacity is, where that is known.

        Returns:
            What was measured. A server that does not start, ends, answers wrongly or takes too much memory is out, with
            the reason; that is a result and no error.
        """
        try:
            with self._started(configuration) as running:
                require_parity(check_parity(running, self.launcher.artifact, [self.wire]), self.server.key)
                return self._within_memory(running, self._capacity(running, seed, near))
        except (LaunchError, ParityError) as error:
            return Measured(0.0, out=_first_line(error))
        except MeasurementError as error:
            return Measured(math.nan, limits=[*error.findings] or failure(error))

    @contextlib.contextmanager
    def _started(self, configuration: Configuration) -> Iterator[RunningServer]:
        if configuration == space_of(self.server).default(self.around.threads):
            # As it is: no flag or file of ours may change what the default does.
            with up(self.launcher, [self.server]) as (running,):
                self._note(running)
                yield running
            return
        with RunFolder("tuned") as folder:
            write_configuration(self.server, configuration, folder, str(folder), self.around)
            with up(self.launcher, [configured(self.server, configuration, folder, self.around)]) as (running,):
                yield running

    def _note(self, running: RunningServer) -> None:
        """Keep what the default start showed: its name, and how long a start takes."""
        if not self.label:
            self.label, self.described = running.label, running.describe()
            patience = max(PATIENCE * running.first_prediction_s, LEAST_PATIENCE_S)
            self.launcher = replace(self.launcher, timeout_s=min(self.launcher.timeout_s, patience))

    def _capacity(self, running: RunningServer, seed: int, near: float) -> Measured:
        warm = self._measure(running, Load(Closed(CLOSED_S), WARMUP_S, self.connections, seed=seed))
        if not warm.tally.ok:
            return Measured(0.0, out=f"it answered nothing under load: {dict(warm.tally.errors)}")

        def run(rate: float, duration_s: float, probe_seed: int) -> MeasuredRun:
            # It is warm by now, and a warm-up before each probe would take longer than the probe.
            return self._measure(running, Load(Poisson(rate, duration_s), 0.0, self.connections, seed=probe_seed))

        found = find_capacity(
            lambda: contextlib.nullcontext(run),
            self.objective,
            start=START_SHARE * warm.throughput_rps,
            near=near,
            searches=SEARCHES_NEAR if near else 1,
            probe_s=PROBE_S,
            seed=seed + 1,
            fresh=False,
        )
        if found.bounded_by_client or not found.rate_rps:
            return Measured(found.rate_rps, limits=found.limits if found.bounded_by_client else [])
        # All probes count, those of the range too: two alone scatter nearly twice as much.
        return Measured(fit(found.probes, self.objective, found.rate_rps).capacity)

    def _measure(self, running: RunningServer, load: Load) -> MeasuredRun:
        run, _ = measure_server(
            running, load, self.launcher.placement, wire=self.wire, batch=self.batch, on_progress=self.on_progress
        )
        running.raise_if_ended()
        if run.tally.mismatched:
            raise ParityError(f"{run.tally.mismatched:,} of {run.tally.sent:,} answers under load were wrong")
        return run

    def _within_memory(self, running: RunningServer, found: Measured) -> Measured:
        """What was measured, if the process tree kept the limit; the sum of its peaks is an upper bound of its use."""
        peak = float(running.usage().peak_mib)
        if peak > self.memory_mib:
            out = f"its peak memory, {peak:,.0f} MiB, is above the limit of {self.memory_mib:,.0f} MiB"
            return Measured(0.0, peak, out=out)
        return replace(found, peak_mib=peak)


def write_configuration(
    server: Server, configuration: Configuration, folder: Path, shown: str, around: Surroundings
) -> list[str]:
    """Write the files of a configuration.

    Args:
        server: The server in its default form.
        configuration: A value for each knob.
        folder: Where to; it exists.
        shown: How the files name that folder.
        around: What they may depend on.

    Returns:
        Their names.

    Raises:
        UsageError: If one cannot be written.
    """
    files = configuration_files(server, configuration, shown, around)
    for name, text in files.items():
        write_whole(folder / name, text)
    return list(files)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(":; ")
