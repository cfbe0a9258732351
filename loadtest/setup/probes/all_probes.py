"""All probes of a server, in an order that starts it as seldom as possible."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Literal

from loadtest.errors import LoadtestError
from loadtest.launch.running import RunningServer
from loadtest.setup.looked_up import LookedUpFact
from loadtest.setup.probes import (
    batching_probe,
    credentials_probe,
    operation_probes,
    protocol_probes,
    shutdown_probe,
    version_probes,
)
from loadtest.setup.probes.capability import CapabilityCell, failed, in_order, judged, not_survived, unknown
from loadtest.setup.probes.probe_context import ProbeContext
from loadtest.setup.probes.probed_server import ProbedServer
from loadtest.setup.setup_finding import SetupCode, SetupFinding, finding

ProbeFunction = Callable[[], CapabilityCell | list[CapabilityCell]]
ProbeList = list[tuple[tuple[str, ...], ProbeFunction]]
"""Probes, each with the capabilities whose cells it fills."""

ProbeForm = Literal["full", "quick"]
"""The quick form leaves out every probe that starts the server again: with other settings, versions or a variant."""


def probe_capabilities(
    context: ProbeContext,
    facts: Sequence[LookedUpFact],
    say: Callable[[str], None],
    *,
    form: ProbeForm = "full",
    on_start: Callable[[RunningServer], None] = lambda running: None,
) -> tuple[CapabilityCell, ...]:
    """Try every capability out.

    A probe that fails leaves its cell unknown with the reason, and the others go on. After each of them the server
    must live and predict: where it does not, the cell says so, and the next probe finds a server that was started anew.

    Args:
        context: The server.
        facts: Its facts; one that says whether something is supported fills the capability of its name.
        say: Told what is under way.
        form: Which probes are made; the cells of the others say that they were left out.
        on_start: Called with the started server before anything is asked of it.

    Returns:
        One cell for every capability, in the order of `capability.CAPABILITIES`.

    Raises:
        LaunchError: If the server does not start.
        ParityError: If it answers wrongly.
    """
    burst = operation_probes.ReadinessBurst()
    say("probing: starting")
    with contextlib.closing(ProbedServer(context)) as server:
        watch = server.start(burst.send)
        on_start(server.running)
        cells = [operation_probes.probe_readiness(server.running, watch, burst)]
        cells += _run(_of_the_default(context, server), server.take_effects, say)
        # The last probe ends the server on purpose.
        ending: ProbeList = [(("graceful_shutdown",), lambda: shutdown_probe.probe_shutdown(server.running))]
        cells += _run(ending, list, say)
    further = _of_other_settings(context)
    if form == "full":
        cells += _run(further, context.take_effects, say)
    else:
        cells += [unknown(name, finding(SetupCode.NOT_IN_QUICK_FORM)) for names, _ in further for name in names]
    return in_order([*cells, *map(_from_fact, (fact for fact in facts if fact.supported is not None))])


def _of_the_default(context: ProbeContext, server: ProbedServer) -> ProbeList:
    """Probes of the server as it is started by default."""
    declared = context.declared
    probes: ProbeList = [
        (("rest", "auth"), lambda: protocol_probes.probe_rest(server.running)),
        (("grpc",), lambda: protocol_probes.probe_grpc(server.running)),
        (("binary_tensors",), lambda: protocol_probes.probe_binary(server)),
        (("gzip_request", "gzip_response"), lambda: protocol_probes.probe_gzip(server)),
        (("health",), lambda: operation_probes.probe_health(server.running, declared)),
        (("metadata", "signature"), lambda: operation_probes.probe_model(server.running)),
        (("metrics",), lambda: operation_probes.probe_metrics(server.running, declared)),
        (("bad_input",), lambda: protocol_probes.probe_bad_input(server)),
    ]
    if declared.batching is None:
        probes.append((("batching",), lambda: batching_probe.probe_no_batching(server.running)))
    if declared.versions is None:
        probes.append((("versions",), lambda: version_probes.probe_usual_addresses(server.running)))
    return probes


def _of_other_settings(context: ProbeContext) -> ProbeList:
    """Probes that start the server anew, with other settings or another copy of the artifact."""
    declared = context.declared
    probes: ProbeList = []
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
    return probes


def _run(
    probes: ProbeList, take_effects: Callable[[], Sequence[SetupFinding]], say: Callable[[str], None]
) -> list[CapabilityCell]:
    """Run probes one after the other.

    Args:
        probes: The probes.
        take_effects: What became of servers since the last call; empty where they live.
        say: Told what is under way.
    """
    cells: list[CapabilityCell] = []
    for capabilities, probe in probes:
        say(f"probing: {', '.join(capabilities)}")
        try:
            result = probe()
            new = result if isinstance(result, list) else [result]
        except LoadtestError as error:
            new = [failed(capability, error) for capability in capabilities]
        effects = take_effects()
        cells += [not_survived(cell, effects) for cell in new] if effects else new
    return cells


def _from_fact(fact: LookedUpFact) -> CapabilityCell:
    told = finding(SetupCode.LOOKED_UP_FACT, date=fact.date.isoformat(), source=fact.source, text=fact.text)
    return judged(fact.name, fact.supported, observations=[told], notes=[finding(SetupCode.LOOKED_UP)])
