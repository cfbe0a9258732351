"""What `compare` does for each model in turn: a comparison for each plan, then the ease of setup."""

import contextlib
from collections.abc import Mapping, Sequence

from loadtest.cli.comparison_screen import ComparisonScreen
from loadtest.cli.sitting import Sitting
from loadtest.errors import LoadtestError, MeasurementError, UsageError
from loadtest.experiments.comparison import compare
from loadtest.experiments.contender import Contender
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.comparison_result import comparison_name
from loadtest.judge.entries import Failed, SetupMeasured
from loadtest.launch.launcher import Launcher
from loadtest.report.reading import SETUP
from loadtest.report.wording import told
from loadtest.servers.configured_server import is_tuned
from loadtest.servers.model_record import FIGURES, read_model, write_model
from loadtest.servers.server_folder import Server
from loadtest.servers.server_toml import load_servers
from loadtest.setup.measure_setup import measure_setup
from loadtest.setup.setup_file import read_setups, write_setups
from loadtest.setup.setup_plan import Probes, SetupPlan


class MeasuredModels:
    """The models of one result.

    Args:
        entered: Which servers, each over which wire format.
        plans: What is done with each model: one plan for each batch size, with tensors and with pictures.
        screen: Who is told.
        sitting: Where what is measured is kept, and what an earlier sitting has measured.
        probes: How the capabilities are tried out; None to leave out the whole ease of setup.
    """

    def __init__(
        self,
        entered: Sequence[Contender],
        plans: Sequence[ComparisonPlan],
        screen: ComparisonScreen,
        sitting: Sitting,
        probes: Probes | None,
    ) -> None:
        self._entered, self._plans, self._screen = entered, plans, screen
        self._sitting, self._file, self._probes = sitting, sitting.file, probes
        self._path = sitting.folder / SETUP
        known = read_setups(self._path) if sitting.record.setups else []
        self._setups = [one for one in known if one.workload.name in sitting.record.setups]

    def measure(self, launchers: Mapping[str, Launcher]) -> None:
        """Measure each model; one that cannot be measured is noted in the file, and the others go on.

        What an earlier sitting has measured is not measured again.

        Args:
            launchers: How the servers of each model are started; each is closed before the next one is used.

        Raises:
            LoadtestError: If the only comparison fails, if none gave a number, or if a result cannot be written.
        """
        for name, launcher in launchers.items():
            with contextlib.closing(launcher):
                for plan in self._plans:
                    self._compare(comparison_name(name, plan.batch, pictures=plan.pictures), launcher, plan)
                if self._probes is not None:
                    self._measure_setup(name, launcher, self._probes)
        if not self._file.comparisons:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self._file.failures.items())
            raise MeasurementError(f"nothing could be measured: {reasons}")

    def _compare(self, name: str, launcher: Launcher, plan: ComparisonPlan) -> None:
        self._screen.comparison(name)
        entered = [one for one in self._entered if one.pictures == plan.pictures]
        record = self._sitting.record
        earlier = record.comparisons.get(name)
        if name in record.failures or (earlier and earlier.result.complete):
            return
        try:
            compare(entered, launcher, plan, self._screen, record.header.command, earlier)
            self._keep_what_is_told(launcher)
        except UsageError:  # such as a disk that is full: it would be no better with the next model
            raise
        except LoadtestError as error:
            self._file.fail(name, told(error))
            if len(self._file.planned) == 1:
                raise
            self._sitting.keep(Failed(name, told(error)))

    def _keep_what_is_told(self, launcher: Launcher) -> None:
        """Keep what the artifact tells of its model, so that the report can be written again without it."""
        if told_of := read_model(launcher.artifact.folder / FIGURES):
            write_model(told_of, self._sitting.folder)

    def _measure_setup(self, model: str, launcher: Launcher, probes: Probes) -> None:
        """Ease of setup of the servers that were measured; their starts were timed in the rounds."""
        if model in self._sitting.record.setups:
            return
        measured = [one for one in self._file.comparisons if one.workload.name == model]
        # The tuned form of a server is set up as its default is.
        servers = {one.server.key: one.server for one in self._entered if not is_tuned(one.server.key)}
        starts = {
            key: [one.first_prediction_s for each in measured for found in each.over(key) for one in found.rounds]
            for key in servers
        }
        able = [server for key, server in servers.items() if starts[key]]
        if able:
            self._write_setup(able, launcher, probes, starts)
        self._sitting.keep(SetupMeasured(model))

    def _write_setup(
        self,
        able: Sequence[Server],
        launcher: Launcher,
        probes: Probes,
        starts: Mapping[str, Sequence[float]],
    ) -> None:
        # What the servers can do is the same with every model: it is tried out with the first one.
        plan = SetupPlan(repeat=0, probes="none" if self._setups else probes)
        found = measure_setup(able, load_servers(), launcher, plan, self._screen.last_stage, starts=starts)
        self._setups.append(found)
        write_setups(self._setups, self._path)
