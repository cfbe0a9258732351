"""Dynamic batching, seen to happen: requests and batches are counted, and no time is compared."""

import time

from loadtest.errors import UsageError
from loadtest.launch.running import RunningServer
from loadtest.load.schedule import Closed
from loadtest.servers.server_folder import HttpGet
from loadtest.setup.declared import DeclaredBatching
from loadtest.setup.probes.capability import CapabilityCell, judged, unknown
from loadtest.setup.probes.operation_probes import read_samples
from loadtest.setup.probes.probe_context import ProbeContext
from loadtest.setup.probes.probe_load import outcome_values, put_load
from loadtest.setup.probes.probe_request import get, seen
from loadtest.setup.setup_finding import SetupCode, finding
from loadtest.wire.golden_target import rest_target

CONNECTIONS = 16
LOAD_S = 1.0
SETTLE_S = 0.5
WHOLE_LOG = 10**9


def probe_no_batching(running: RunningServer) -> CapabilityCell:
    """No way to batch is declared: show the configuration that the server reports, which has none."""
    told = [seen(*get(running, probe)) for probe in running.server.effective.values()]
    why = finding(SetupCode.NO_BATCHING_SETTING)
    return judged("batching", False, told, notes=[why]) if told else unknown("batching", why)


def probe_batching(context: ProbeContext, how: DeclaredBatching) -> CapabilityCell:
    """Start the variant that batches, put single instances on it from many connections, and count the batches.

    Raises:
        UsageError: If the server has no such variant.
        LaunchError: If it does not start.
    """
    key = f"{context.server.name}:{how.variant}"
    if key not in context.servers:
        raise UsageError(f"{context.server.folder / 'server.toml'}: [setup.batching] names no variant {how.variant!r}")
    with context.start(context.servers[key]) as batching:
        before = count_batches(batching, how, context.declared.metrics)
        tally = put_load(
            rest_target(batching.url, batching.artifact.golden, headers=batching.headers), Closed(LOAD_S), CONNECTIONS
        )
        batches = _settled(batching, how, context.declared.metrics) - before
    counted = finding(
        SetupCode.BATCHES,
        connections=CONNECTIONS,
        counter=how.metric or "log",
        batches=batches,
        **outcome_values(tally),
    )
    known = bool(batches and tally.ok)
    return judged(
        "batching",
        batches < tally.ok if known else None,
        observations=[counted],
        setting=f"variant {key}",
        notes=[] if known else [finding(SetupCode.NO_BATCH_COUNTED)],
    )


def count_batches(running: RunningServer, how: DeclaredBatching, metrics: HttpGet | None) -> int:
    """Batches that the server ran so far, by its metrics page or by its log."""
    if how.log:
        return running.log_tail(WHOLE_LOG).count(how.log)
    if metrics is None:
        raise UsageError(f"{running.server.folder / 'server.toml'}: [setup.batching] needs [setup.metrics] or a log")
    _, page = get(running, metrics)
    samples = read_samples(page.body.decode(errors="replace")).items()
    return int(sum(value for series, value in samples if series.partition("{")[0] == how.metric))


def _settled(running: RunningServer, how: DeclaredBatching, metrics: HttpGet | None) -> int:
    """The count once it has stood still: logs are written behind the answers."""
    count = -1
    while count != (now := count_batches(running, how, metrics)):
        count = now
        time.sleep(SETTLE_S)
    return count
