"""All probes of a server, in an order that starts it as seldom as possible."""

import contextlib
from collections.abc import Callable, Sequence

from loadtest.errors import LoadtestError
from loadtest.setup.facts import Fact
from loadtest.setup.probes import batching, credentials, operations, protocols, shutdown, versions
from loadtest.setup.probes.bench import Bench
from loadtest.setup.probes.cell import Cell, Exchange, ended, in_order, unknown
from loadtest.setup.probes.subject import Subject

Probe = Callable[[], Cell | list[Cell]]


def probe_capabilities(bench: Bench, facts: Sequence[Fact], say: Callable[[str], None]) -> list[Cell]:
    """Try every capability out.

    A probe that fails leaves its cell unknown with the reason, and the others go on. After each of them the server
    must live and predict: where it does not, the cell says so, and the next probe finds a server that was started anew.

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
    with contextlib.closing(Subject(bench)) as subject:
        watch = subject.start(burst.send)
        cells = [operations.probe_readiness(subject.running, watch, burst)]
        cells += _asked(bench, subject, say)
    cells += _restarted(bench, say)
    return in_order([*cells, *map(_from_fact, (fact for fact in facts if fact.supported is not None))])


def _asked(bench: Bench, subject: Subject, say: Callable[[str], None]) -> list[Cell]:
    """Probes of the server as it is started by default; the last one ends it on purpose."""
    declared = bench.declared
    probes: list[tuple[tuple[str, ...], Probe]] = [
        (("rest", "auth"), lambda: protocols.probe_rest(subject.running)),
        (("grpc",), lambda: protocols.probe_grpc(subject.running)),
        (("binary_tensors",), lambda: protocols.probe_binary(subject)),
        (("gzip_request", "gzip_response"), lambda: protocols.probe_gzip(subject)),
        (("health",), lambda: operations.probe_health(subject.running, declared)),
        (("metadata", "signature"), lambda: operations.probe_model(subject.running)),
        (("metrics",), lambda: operations.probe_metrics(subject.running, declared)),
        (("bad_input",), lambda: protocols.probe_bad_input(subject)),
    ]
    if declared.batching is None:
        probes.append((("batching",), lambda: batching.probe_no_batching(subject.running)))
    if declared.versions is None:
        probes.append((("versions",), lambda: versions.probe_usual_addresses(subject.running)))
    cells = _run(probes, subject.look, say)
    ending: list[tuple[tuple[str, ...], Probe]] = [
        (("graceful_shutdown",), lambda: shutdown.probe_shutdown(subject.running))
    ]
    return cells + _run(ending, lambda: "", say)


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
    return _run(probes, bench.look, say)


def _run(
    probes: Sequence[tuple[tuple[str, ...], Probe]], look: Callable[[], str], say: Callable[[str], None]
) -> list[Cell]:
    """Run probes one after the other.

    Args:
        probes: Each with the capabilities whose cells it fills.
        look: What became of the server since the last look, in words; empty where it lives.
        say: Told what is under way.
    """
    cells: list[Cell] = []
    for capabilities, probe in probes:
        say(f"probing: {', '.join(capabilities)}")
        try:
            result = probe()
            found = result if isinstance(result, list) else [result]
        except LoadtestError as error:
            found = [unknown(capability, error) for capability in capabilities]
        fate = look()
        cells += [ended(cell, fate) for cell in found] if fate else found
    return cells


def _from_fact(fact: Fact) -> Cell:
    evidence = (Exchange(f"looked up on {fact.date}: {fact.source}", fact.text),)
    return Cell(fact.name, fact.supported, evidence, note="looked up, not probed", looked_up=True)
