"""Measures the ease of setup of several servers: everything of this package, one server after the other."""

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from loadtest.errors import LoadtestError, UsageError
from loadtest.launch.launcher import Launcher
from loadtest.launch.running import RunningServer
from loadtest.servers.server_folder import LaunchCommand as Launch
from loadtest.servers.server_folder import Server
from loadtest.setup.cold import Cold, cold_start
from loadtest.setup.declared import Declared, read_declared
from loadtest.setup.facts import Fact, read_facts
from loadtest.setup.idle_processes import MovingParts, read_moving_parts
from loadtest.setup.probes.bench import Bench
from loadtest.setup.probes.cell import Cell
from loadtest.setup.probes.every import probe_capabilities
from loadtest.setup.program import read_program
from loadtest.setup.size import ImageSize, Size, image_size, measure_size
from loadtest.setup.timeline import Start, warm_starts
from loadtest.setup.written import Written, count_written

MOST_REPEATS = 100


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        repeat: Warm starts of each server.
        probe: Whether capabilities are tried out.
        cold: Whether a cold start is made too.
        clean_cache: Whether it leaves the caches of pip, or of the image builder, aside.
    """

    repeat: int = 3
    probe: bool = True
    cold: bool = False
    clean_cache: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.repeat <= MOST_REPEATS:
            raise UsageError(f"the starts must be repeated 1 to {MOST_REPEATS} times, not {self.repeat}")
        if self.clean_cache and not self.cold:
            raise UsageError("--clean-cache is for --cold: a warm start installs nothing")


@dataclass
class Record:
    """What was found of one server; what could not be found is None, and `faults` says why.

    Attributes:
        server: The server.
        label: What tables call it.
        written: What a person writes.
        size: What it needs on disk.
        facts: What was looked up.
        starts: Warm starts.
        cold: The cold start.
        moving: What runs when it idles.
        cells: Capabilities; none where they were not probed.
        image: Size of its image; measured at the end, since a launcher may have to build it.
        faults: What went wrong, in plain words.
    """

    server: Server
    label: str
    written: Written
    size: Size
    facts: Sequence[Fact]
    starts: Sequence[Start] = ()
    cold: Cold | None = None
    moving: MovingParts | None = None
    cells: Sequence[Cell] = ()
    image: ImageSize | None = None
    faults: list[str] = field(default_factory=list)

    @property
    def launch(self) -> Launch | None:
        """The way in which it was started, as far as its label tells: a container's says what is in it."""
        return self.server.launch_called(self.label)


@dataclass
class Setup:
    """The ease of setup of several servers.

    Attributes:
        plan: What was asked for.
        launcher: How they were started.
        records: One for each server.
        date: UTC, ISO 8601.
    """

    plan: Plan
    launcher: Launcher
    records: list[Record]
    date: str


def measure_setup(
    wanted: Sequence[Server],
    servers: Mapping[str, Server],
    launcher: Launcher,
    plan: Plan,
    say: Callable[[str], None] = lambda line: None,
) -> Setup:
    """Measure servers one after the other; one that fails keeps its place with what is known of it.

    Args:
        wanted: Which servers.
        servers: Every server and variant by key.
        launcher: How they are started.
        plan: What is measured.
        say: Told what is under way.

    Raises:
        UsageError: If a server folder, its facts or pyproject.toml cannot be read, or the launcher starts no servers.
    """
    if launcher.name == "network":
        raise UsageError("setup starts the servers itself: use --launcher local or compose, outside of a container")
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    declared = {server.key: read_declared(server) for server in wanted}
    # What can be read without a start comes first: a mistake in a file is known at once and not after minutes.
    records = [_counted(server, declared[server.key], launcher) for server in wanted]
    for record in records:
        bench = Bench(record.server, declared[record.server.key], servers, launcher.artifact, launcher)
        _run(record, bench, plan, say)
    return Setup(plan, launcher, records, date)


def _counted(server: Server, declared: Declared, launcher: Launcher) -> Record:
    launch = server.launch()
    return Record(
        server=server,
        label=(launch.label if launcher.name == "local" else "") or server.label,
        written=count_written(server, declared),
        size=measure_size(declared, launcher.artifact),
        facts=read_facts(server),
    )


def _run(record: Record, bench: Bench, plan: Plan, say: Callable[[str], None]) -> None:
    def tell(line: str) -> None:
        say(f"{record.label}: {line}")

    def look(running: RunningServer) -> None:
        record.label = running.label
        record.moving = read_moving_parts(running)
        record.size = replace(record.size, program=read_program(running))

    try:
        record.starts = warm_starts(
            bench.launcher, bench.server, bench.artifact, plan.repeat, say=tell, before_last_stop=look
        )
        if plan.probe:
            record.cells = probe_capabilities(bench, record.facts, tell)
        if plan.cold:
            record.cold = cold_start(
                bench.server, bench.declared, bench.launcher, clean_cache=plan.clean_cache, say=tell
            )
    except LoadtestError as error:
        record.faults.append(str(error))
    if record.launch is not None and not record.launch.in_python:
        record.size = replace(record.size, packages=None)  # it is not what pip installs
    record.image = image_size(record.server)
