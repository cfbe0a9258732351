"""What the terminal shows while a comparison runs; what there is so far is kept on disk meanwhile."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from loadtest.experiments.comparison import Watcher
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.load.clients import Progress as Glimpse
from loadtest.report.reading import write_comparison


class ComparisonScreen(Watcher):
    """A line for the stage under way, with the time that is left; nothing where there is no terminal.

    Args:
        console: Where to.
        folder: Where result.json is kept up to date.
        more_stages: How many stages come after those of the comparison.

    Attributes:
        saved: Whether result.json was written.
    """

    def __init__(self, console: Console, folder: Path, more_stages: int = 0) -> None:
        self.saved = False
        self._folder = folder
        self._more_stages = more_stages
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

    def stage(self, text: str, done: int, total: int) -> None:
        """Show the new stage."""
        self._stage, self._total = text, total
        self._progress.update(self._task, description=text, completed=done, total=total + self._more_stages)

    def last_stage(self, text: str) -> None:
        """Show a stage that comes after the comparison."""
        self._progress.update(self._task, description=text, completed=self._total)

    def progress(self, progress: Glimpse) -> None:
        """Show the live numbers."""
        self._progress.update(self._task, description=f"{self._stage}: {progress}")

    def finished(self, result: ComparisonResult) -> None:
        """Save what there is so far: an interrupted comparison keeps its rounds, and `report` renders them."""
        write_comparison(result, self._folder)
        self.saved = True
