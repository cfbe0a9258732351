"""What the terminal shows while a server is tuned; every measurement is kept on disk as soon as it is over."""

from collections.abc import Callable

from loadtest.experiments.tuning import Observer
from loadtest.judge.tuning_result import Trial
from loadtest.load.clients import Progress
from loadtest.machine.journal import Journal
from loadtest.records import to_line


class TuningScreen(Observer):
    """A line for the measurement under way, with the best one so far.

    Args:
        journal: Gets a line of JSON for each measurement; what stood there before stays.
        run: When this tuning began, which tells its lines from those before.
        update: Shows a text on the terminal's last line.

    Attributes:
        kept: How many lines were written.
    """

    def __init__(self, journal: Journal, run: str, update: Callable[[str], None]) -> None:
        self._journal, self._run, self._update = journal, run, update
        self._stage = ""
        self._best = 0.0
        self.kept = 0

    def stage(self, text: str) -> None:
        """Show what is measured now."""
        best = f"; best so far {self._best:,.0f} requests/s" if self._best else ""
        self._stage = f"{text}{best}"
        self._update(self._stage)

    def progress(self, progress: Progress) -> None:
        """Show the live numbers."""
        self._update(f"{self._stage}: {progress}")

    def measured(self, trial: Trial) -> None:
        """Keep the measurement."""
        if trial.capacity_rps > self._best:
            self._best = float(trial.capacity_rps)
        self._journal.add(to_line(trial, run=self._run))
        self.kept += 1
