"""What the terminal shows while a comparison runs; what was measured is kept on disk meanwhile."""

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from loadtest.cli.sitting import Sitting
from loadtest.experiments.comparison import Watcher
from loadtest.experiments.expected_time import rounds_time
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.entries import Entry
from loadtest.load.clients import Progress as Glimpse


class ComparisonScreen(Watcher):
    """A line for the stage under way, with the time that is left; nothing where there is no terminal.

    Args:
        console: Where to.
        sitting: Where what is measured is kept.
        more_stages: How many stages come after those of the comparisons.
        say: Told in a line what is known once a comparison's gate is passed.
    """

    def __init__(self, console: Console, sitting: Sitting, more_stages: int, say: Callable[[str], None]) -> None:
        self._sitting = sitting
        self._file = sitting.file
        self._more_stages = more_stages
        self._say = say
        self._name = ""
        self._left = len(self._file.planned)
        self._before = 0
        self._total = 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
            console=console,
            refresh_per_second=2,
            # The stages are few and long, so the time left is reckoned from all of them and not from the last seconds.
            speed_estimate_period=3_600,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("setting up", total=None)
        self._stage = ""

    def __enter__(self) -> "ComparisonScreen":
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def comparison(self, name: str) -> None:
        """Show the stages of the next comparison."""
        self._name = f"{name}, " if len(self._file.planned) > 1 else ""
        self._before += self._total
        self._total = 0
        self._left -= 1

    def stage(self, text: str, done: int, total: int) -> None:
        """Show the new stage."""
        self._stage, self._total = f"{self._name}{text}", total
        # The comparisons that follow are taken to have as many stages as this one.
        every = self._before + total * (1 + self._left) + self._more_stages
        self._progress.update(self._task, description=self._stage, completed=self._before + done, total=every)

    def last_stage(self, text: str) -> None:
        """Show a stage that comes after a comparison."""
        self._progress.update(self._task, description=f"{self._name}{text}", completed=self._before + self._total)

    def planned(self, result: ComparisonResult, servers: int) -> None:
        """Say how long each run is, and how long it all takes from here."""
        plan = result.plan
        self._say(
            f"{result.name}: {plan.common_rate_rps:,.3g} requests/s, runs of {plan.duration_s:g} s; the rounds take "
            f"{rounds_time(plan, servers)}"
        )

    def progress(self, progress: Glimpse) -> None:
        """Show the live numbers."""
        self._progress.update(self._task, description=f"{self._stage}: {progress}")

    def measured(self, entry: Entry) -> None:
        """Keep it: a comparison that is interrupted or killed loses nothing that was measured."""
        self._sitting.keep(entry)

    def finished(self, result: ComparisonResult) -> None:
        """Hold what there is so far; result.json is written once, when the command ends: runs.jsonl has it all."""
        self._file.hold(result)
