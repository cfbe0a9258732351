"""Dynamic batching, seen to happen: requests and batches are counted, and no time is compared."""

import time

from loadtest.errors import UsageError
from loadtest.launch.running import RunningServer
from loadtest.load.schedule import Closed
from loadtest.servers.server_folder import HttpGet as Probe
from loadtest.setup.declared import Batching
from loadtest.setup.probes.ask import get, seen
from loadtest.setup.probes.bench import Bench
from loadtest.setup.probes.cell import Cell, Exchange
from loadtest.setup.probes.load import outcome_of, put_load
from loadtest.setup.probes.operations import read_samples
from loadtest.wire.golden_target import rest_target

CONNECTIONS = 16
LOAD_S = 1.0
SETTLE_S = 0.5
WHOLE_LOG = 10**9


def probe_no_batching(running: RunningServer) -> Cell:
    """No way to batch is declared: show the configuration that the server reports, which has none."""
    told = tuple(seen(*get(running, probe)) for probe in running.server.effective.values())
    return Cell("batching", False, told, note="no setting for it: each request is a forward pass of its own")


def probe_batching(bench: Bench, how: Batching) -> Cell:
    """Start the variant that batches, put single instances on it from many connections, and count the batches.

    Raises:
        UsageError: If the server has no such variant.
        LaunchError: If it does not start.
    """
    key = f"{bench.server.name}:{how.variant}"
    if key not in bench.servers:
        raise UsageError(f"{bench.server.folder / 'server.toml'}: [setup.batching] names no variant {how.variant!r}")
    with bench.start(bench.servers[key]) as batching:
        before = count_batches(batching, how, bench.declared.metrics)
        tally = put_load(rest_target(batching.url, batching.artifact), Closed(LOAD_S), CONNECTIONS)
        batches = _settled(batching, how, bench.declared.metrics) - before
    said = f"{outcome_of(tally)}, in {batches} batches"
    counted = f"counted by {how.metric or 'lines of its log'}"
    evidence = (Exchange(f"{CONNECTIONS} connections, 1 instance in each request; {counted}", said),)
    if not batches or not tally.ok:
        return Cell("batching", None, evidence, f"variant {key}", "no batch was counted")
    return Cell("batching", batches < tally.ok, evidence, f"variant {key}")


def count_batches(running: RunningServer, how: Batching, metrics: Probe | None) -> int:
    """Batches that the server ran so far, by its metrics page or by its log."""
    if how.log:
        return running.log_tail(WHOLE_LOG).count(how.log)
    if metrics is None:
        raise UsageError(f"{running.server.folder / 'server.toml'}: [setup.batching] needs [setup.metrics] or a log")
    _, page = get(running, metrics)
    samples = read_samples(page.body.decode(errors="replace")).items()
    return int(sum(value for series, value in samples if series.partition("{")[0] == how.metric))


def _settled(running: RunningServer, how: Batching, metrics: Probe | None) -> int:
    """The count once it has stood still: logs are written behind the answers."""
    count = -1
    while count != (now := count_batches(running, how, metrics)):
        count = now
        time.sleep(SETTLE_S)
    return count
