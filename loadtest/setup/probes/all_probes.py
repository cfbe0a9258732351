"""All probes of a server, in an order that starts it as seldom as possible."""

import contextlib
from collections.abc import Callable, Sequence

from loadtest.errors import LoadtestError
from loadtest.setup.looked_up import LookedUpFact
from loadtest.setup.probes import (
    batching_probe,
    credentials_probe,
    operation_probes,
    protocol_probes,
    shutdown_probe,
    version_probes,
)
from loadtest.setup.probes.capability import CapabilityCell, Exchange, ended, in_order, unknown
from loadtest.setup.probes.probe_context import ProbeContext
from loadtest.setup.probes.probed_server import ProbedServer

ProbeFunction = Callable[[], CapabilityCell | list[CapabilityCell]]


def probe_capabilities(
    context: ProbeContext, facts: Sequence[LookedUpFact], say: Callable[[str], None]
) -> list[CapabilityCell]:
    """Try every capability out.

    A probe that fails leaves its cell unknown with the reason, and the others go on. After each of them the server
    must live and predict: where it does not, the cell says so, and the next probe finds a server that was started anew.

    Args:
        context: The server.
        facts: Its facts; one that says whether something is supported fills the capability of its name.
        say: Told what is under way.

    Returns:
        One cell for every capability, in the order of `capability.CAPABILITIES`.

    Raises:
        LaunchError: If the server does not start.
        ParityError: If it answers wrongly.
    """
    burst = operation_probes.ReadinessBurst()
    say("probing: starting")
    with contextlib.closing(ProbedServer(context)) as subject:
        watch = subject.start(burst.send)
        cells = [operation_probes.probe_readiness(subject.running, watch, burst)]
        cells += _asked(context, subject, say)
    cells += _restarted(context, say)
    return in_order([*cells, *map(_from_fact, (fact for fact in facts if fact.supported is not None))])


def _asked(context: ProbeContext, subject: ProbedServer, say: Callable[[str], None]) -> list[CapabilityCell]:
    """Probes of the server as it is started by default; the last one ends it on purpose."""
    declared = context.declared
    probes: list[tuple[tuple[str, ...], ProbeFunction]] = [
        (("rest", "auth"), lambda: protocol_probes.probe_rest(subject.running)),
        (("grpc",), lambda: protocol_probes.probe_grpc(subject.running)),
        (("binary_tensors",), lambda: protocol_probes.probe_binary(subject)),
        (("gzip_request", "gzip_response"), lambda: protocol_probes.probe_gzip(subject)),
        (("health",), lambda: operation_probes.probe_health(subject.running, declared)),
        (("metadata", "signature"), lambda: operation_probes.probe_model(subject.running)),
        (("metrics",), lambda: operation_probes.probe_metrics(subject.running, declared)),
        (("bad_input",), lambda: protocol_probes.probe_bad_input(subject)),
    ]
    if declared.batching is None:
        probes.append((("batching",), lambda: batching_probe.probe_no_batching(subject.running)))
    if declared.versions is None:
        probes.append((("versions",), lambda: version_probes.probe_usual_addresses(subject.running)))
    cells = _run(probes, subject.look, say)
    ending: list[tuple[tuple[str, ...], ProbeFunction]] = [
        (("graceful_shutdown",), lambda: shutdown_probe.probe_shutdown(subject.running))
    ]
    return cells + _run(ending, lambda: "", say)


def _restarted(context: ProbeContext, say: Callable[[str], None]) -> list[CapabilityCell]:
    """Probes that start the server anew, with other settings or another copy of the artifact."""
    declared = context.declared
    probes: list[tuple[tuple[str, ...], ProbeFunction]] = []
    if (batches := declared.batching) is not None:
        probes.append((("batching",), lambda: batching_probe.probe_batching(context, batches)))
    if (several := declared.versions) is not None:
        probes.append((("versions",), lambda: version_probes.probe_versions(context, several)))
    if (swap := declared.hot_swap) is not None:
        probes.append((("hot_swap",), lambda: version_probes.probe_hot_swap(context, swap)))
    else:
        probes.append((("hot_swap",), lambda: version_probes.probe_new_folder(context)))
    if (auth := declared.auth) is not None:
        probes.append((("auth",), lambda: credentials_probe.probe_own_default(context, auth)))
    return _run(probes, context.look, say)


def _run(
    probes: Sequence[tuple[tuple[str, ...], ProbeFunction]], look: Callable[[], str], say: Callable[[str], None]
) -> list[CapabilityCell]:
    """Run probes one after the other.

    Args:
        probes: Each with the capabilities whose cells it fills.
        look: What became of the server since the last look, in words; empty where it lives.
        say: Told what is under way.
    """
    cells: list[CapabilityCell] = []
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


def _from_fact(fact: LookedUpFact) -> CapabilityCell:
    evidence = (Exchange(f"looked up on {fact.date}: {fact.source}", fact.text),)
    return CapabilityCell(fact.name, fact.supported, evidence, note="looked up, not probed", looked_up=True)
