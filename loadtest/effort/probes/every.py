"""All probes of a server, in an order that starts it as seldom as possible."""

from collections.abc import Callable, Sequence

from loadtest.effort.facts import Fact
from loadtest.effort.probes import batching, credentials, operations, shutdown, versions, wire
from loadtest.effort.probes.bench import Bench
from loadtest.effort.probes.cell import Cell, Exchange, in_order, unknown
from loadtest.effort.timeline import watched_start
from loadtest.errors import LoadtestError
from loadtest.launch.running import RunningServer

Probe = Callable[[], Cell | list[Cell]]


def probe_capabilities(bench: Bench, facts: Sequence[Fact], say: Callable[[str], None]) -> list[Cell]:
    """Try every capability out.

    A probe that fails leaves its cell unknown with the reason, and the others go on.

    Args:
        bench: The server.
        facts: Its facts; one that says whether something is supported fills the capability of its name.
        say: Told what is under way.

    Returns:
        One cell for every capability, in the order of `cell.CAPABILITIES`.

    Raises:
        LaunchError: If the server does not start.
        ParityError: If it answers wrongly.
    """
    burst = operations.Burst()
    say("probing: starting")
    with watched_start(bench.launcher, bench.server, bench.artifact, burst.send) as (running, _, watch):
        cells = [operations.probe_readiness(running, watch, burst)]
        cells += _asked(bench, running, say)
    cells += _restarted(bench, say)
    return in_order([*cells, *map(_from_fact, (fact for fact in facts if fact.supported is not None))])


def _asked(bench: Bench, running: RunningServer, say: Callable[[str], None]) -> list[Cell]:
    """Probes of the server as it is started by default; the last one ends it."""
    declared = bench.declared
    probes: list[tuple[tuple[str, ...], Probe]] = [
        (("rest", "auth"), lambda: wire.probe_rest(running)),
        (("grpc",), lambda: wire.probe_grpc(running)),
        (("binary_tensors",), lambda: wire.probe_binary(running)),
        (("gzip_request", "gzip_response"), lambda: wire.probe_gzip(running)),
        (("health",), lambda: operations.probe_health(running, declared)),
        (("metadata", "signature"), lambda: operations.probe_model(running)),
        (("metrics",), lambda: operations.probe_metrics(running, declared)),
        (("bad_input",), lambda: wire.probe_bad_input(running)),
    ]
    if declared.batching is None:
        probes.append((("batching",), lambda: batching.probe_no_batching(running)))
    if declared.versions is None:
        probes.append((("versions",), lambda: versions.probe_usual_addresses(running)))
    probes.append((("graceful_shutdown",), lambda: shutdown.probe_shutdown(running)))
    return _run(probes, say)


def _restarted(bench: Bench, say: Callable[[str], None]) -> list[Cell]:
    """Probes that start the server anew, with other settings or another copy of the artifact."""
    declared = bench.declared
    probes: list[tuple[tuple[str, ...], Probe]] = []
    if (batches := declared.batching) is not None:
        probes.append((("batching",), lambda: batching.probe_batching(bench, batches)))
    if (several := declared.versions) is not None:
        probes.append((("versions",), lambda: versions.probe_versions(bench, several)))
    if (swap := declared.hot_swap) is not None:
        probes.append((("hot_swap",), lambda: versions.probe_hot_swap(bench, swap)))
    else:
        probes.append((("hot_swap",), lambda: versions.probe_new_folder(bench)))
    if (auth := declared.auth) is not None:
        probes.append((("auth",), lambda: credentials.probe_own_default(bench, auth)))
    return _run(probes, say)


def _run(probes: Sequence[tuple[tuple[str, ...], Probe]], say: Callable[[str], None]) -> list[Cell]:
    cells: list[Cell] = []
    for capabilities, probe in probes:
        say(f"probing: {', '.join(capabilities)}")
        try:
            found = probe()
            cells += found if isinstance(found, list) else [found]
        except LoadtestError as error:
            cells += [unknown(capability, error) for capability in capabilities]
    return cells


def _from_fact(fact: Fact) -> Cell:
    evidence = (Exchange(f"looked up on {fact.date}: {fact.source}", fact.text),)
    return Cell(fact.name, fact.supported, evidence, note="looked up, not probed")
