"""Ways to ask for a prediction: REST, gRPC, compressed, in binary, without credentials."""

import base64
import gzip
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from loadtest.errors import LoadtestError
from loadtest.launch.running import RunningServer
from loadtest.servers.artifact import Artifact
from loadtest.servers.examples import json_body
from loadtest.servers.expectation import Anything
from loadtest.servers.server_folder import Server
from loadtest.setup.probes.capability import CapabilityCell, Exchange, judged
from loadtest.setup.probes.probe_request import JSON, ProbeRequest, ask, is_golden, seen
from loadtest.setup.probes.probed_server import ProbedServer, Trial
from loadtest.setup.setup_finding import SetupCode, SetupFinding, finding
from loadtest.wire.exchange import ask_each
from loadtest.wire.formats import find_wire, takes
from loadtest.wire.golden_target import format_at
from loadtest.wire.grpc.single_call import call_each
from loadtest.wire.grpc.target import GrpcTarget
from loadtest.wire.numpy_file import write_tensors
from loadtest.wire.wire_format import golden_requests

HEALTH_METHOD = "/grpc.health.v1.Health/Check"


def probe_rest(running: RunningServer) -> list[CapabilityCell]:
    """A golden example over REST; as it bears no credentials, it says too whether the server asks for any."""
    artifact = running.artifact
    call = ProbeRequest(running.predict_path, artifact.example_body(), label="golden example 0, no credentials")
    reply = ask(running, call)
    right = is_golden(running, reply)
    refused = reply.status in (400, 401, 403)
    neither = [] if right or refused else [finding(SetupCode.NEITHER_ANSWERED_NOR_REFUSED)]
    return [
        judged("rest", right, [seen(call, reply)]),
        judged("auth", None if neither else refused, [seen(call, reply)], notes=neither),
    ]


def probe_grpc(running: RunningServer) -> CapabilityCell:
    """A golden example over gRPC; a server without it is asked for its health over gRPC on each of its ports."""
    if "grpc" in running.server.wires:
        exchange, right = _golden_exchange(running, "grpc")
        return judged("grpc", right, [exchange])
    evidence, speaks = [], False
    for role, port in running.ports.items():
        target = GrpcTarget.build(f"grpc://{running.host}:{port}{HEALTH_METHOD}", [b""], Anything())
        answer = call_each(target, timeout_s=3.0)[0]
        speaks = speaks or answer.status == 200 or answer.fault.startswith("grpc_")
        evidence.append(Exchange(f"gRPC {role}:{HEALTH_METHOD}", answer.fault or "answered"))
    return judged("grpc", False, evidence, notes=[finding(SetupCode.GRPC_WITHOUT_PREDICTION)] if speaks else [])


def probe_gzip(server: ProbedServer) -> list[CapabilityCell]:
    """All golden examples in one request, once with the body packed and once with a packed answer asked for."""
    artifact, path = server.running.artifact, server.running.predict_path
    body = artifact.bodies(artifact.size)[0]
    golden = artifact.expectation(artifact.size)
    packed = ProbeRequest(path, gzip.compress(body), {**JSON, "Content-Encoding": "gzip"}, label="body in gzip")
    asked = ProbeRequest(path, body, {**JSON, "Accept-Encoding": "gzip"}, label="Accept-Encoding: gzip")
    cells = []
    for capability, call in (("gzip_request", packed), ("gzip_response", asked)):
        trial = server.ask(call)
        reply = trial.reply
        right = reply.status == 200 and golden.matches(0, reply.body) and (reply.packed or call is packed)
        effects = [trial.effect] if trial.effect else []
        cells.append(judged(capability, right and not effects, [trial.exchange], notes=effects))
    return cells


def probe_binary(probed: ProbedServer) -> CapabilityCell:
    """Golden example 0 in binary: in the wire formats that the server speaks, and as anybody would try.

    The latter are raw float32, .npy and base64 in JSON, where they are none of its formats.
    """
    running = probed.running
    server, artifact, path = running.server, running.artifact, running.predict_path
    golden = artifact.expectation()
    instance = next(iter(artifact.golden.request(np.array([0])).values()))
    encoded = json.dumps({"instances": [{"b64": base64.b64encode(instance.tobytes()).decode()}]}).encode()
    calls = {
        "octets": ProbeRequest(
            path, instance.tobytes(), {"Content-Type": "application/octet-stream"}, label="raw float32"
        ),
        "npy": ProbeRequest(path, write_tensors({"": instance}), {"Content-Type": "application/x-npy"}, label=".npy"),
        "rest-bytes": ProbeRequest(path, encoded, label='{"b64": …} for the tensor'),
    }
    trials = [probed.ask(call) for wire, call in calls.items() if wire not in server.wires]
    evidence = [trial.exchange for trial in trials]
    ways = [
        f"REST, {trial.call.label}"
        for trial in trials
        if trial.reply.status == 200 and golden.matches(0, trial.reply.body) and not trial.effect
    ]
    for wire in _binary_wires(server, artifact):
        said, right = _golden_exchange(probed.running, wire)
        evidence.append(said)
        ways += [wire] if right else []
    notes = [finding(SetupCode.BINARY_OVER, ways=ways)] if ways else []
    return judged("binary_tensors", bool(ways), evidence, notes=[*notes, *_effects(trials)])


def _binary_wires(server: Server, artifact: Artifact) -> list[str]:
    """The wire formats of a server whose messages hold the tensor's own octets, as they are or as base64."""
    example = artifact.golden.request(np.array([0]))
    octets = next(iter(example.values())).tobytes()
    found = []
    for name, endpoint in server.wires.items():
        if takes(name, artifact) and not find_wire(name).pictures:
            body = find_wire(name).format(artifact.workload, endpoint.path).request(example).body
            found += [name] if octets in body or base64.b64encode(octets) in body else []
    return found


def _golden_exchange(running: RunningServer, wire: str) -> tuple[Exchange, bool]:
    """Golden example 0 over a wire format: what was said, and whether the answer is right."""
    artifact, url = running.artifact, running.url_over(wire)
    (message, *_), expectation = golden_requests(format_at(wire, url, artifact.workload), artifact.golden)
    (answer,) = ask_each(url, [message], headers=running.headers)
    right = answer.status == 200 and expectation.matches(0, answer.body)
    said = answer.fault or f"{answer.status}: {len(answer.body)} bytes, {'' if right else 'not '}the golden answer"
    what = f"{wire} {urlsplit(url).path} (golden example 0, {len(message.body)} bytes)"
    return Exchange(what, said), right


def _other_shape(batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A batch of one as a list of its first three numbers, or with a dimension more where a list is right."""
    return batch.reshape(1, -1)[:, :3] if batch.ndim > 2 else batch[:, None]


def probe_bad_input(server: ProbedServer) -> CapabilityCell:
    """Bodies and addresses that no prediction can come of: each must be a 4xx, and the server must survive each.

    Each is put to a server that lives; the one that ends it is named.
    """
    artifact, path = server.running.artifact, server.running.predict_path
    example = artifact.golden.request(np.array([0]))
    wrong_shape = json_body({name: _other_shape(array) for name, array in example.items()})
    text = json_body({name: np.full(array.shape, "x") for name, array in example.items()})
    calls = [
        ProbeRequest(path, b"", label="no body"),
        ProbeRequest(path, b'{"instances": [[', label="JSON cut short"),
        ProbeRequest(path, b"[1, 2]", label="JSON, but no object"),
        ProbeRequest(path, b'{"nothing": 1}', label="no instances"),
        ProbeRequest(path, b'{"instances": []}', label="no instance in the list"),
        ProbeRequest(path, wrong_shape, label="wrong shape"),
        ProbeRequest(path, text, label="text for numbers"),
        ProbeRequest(path.replace(artifact.workload, "nobody"), artifact.example_body(), label="unknown model"),
        ProbeRequest(path + "/nowhere", artifact.example_body(), label="unknown address"),
    ]
    trials: list[Trial] = []
    lost: list[SetupFinding] = []
    for call in calls:
        try:
            trials.append(server.ask(call))
        except LoadtestError as error:  # what was found until then stands
            if not trials:
                raise
            lost.append(finding(SetupCode.NOT_STARTED_AGAIN, error=str(error).splitlines()[0]))
            break
    answered = [
        finding(
            SetupCode.BAD_INPUT_ANSWERED, request=trial.call.label, answer=trial.reply.fault or str(trial.reply.status)
        )
        for trial in trials
        if not trial.effect and not 400 <= trial.reply.status < 500
    ]
    faults = [*_effects(trials), *lost, *answered]
    return judged("bad_input", not faults, [trial.exchange for trial in trials], notes=faults)


def _effects(trials: Sequence[Trial]) -> list[SetupFinding]:
    """What became of the server and by which requests; the same effect is told once."""
    effects = [trial.effect for trial in trials if trial.effect]
    different = [effect for number, effect in enumerate(effects) if effect not in effects[:number]]
    return [
        finding(effect.code, **effect.values, requests=[trial.call.label for trial in trials if trial.effect == effect])
        for effect in different
    ]
